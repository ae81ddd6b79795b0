"""Reconstruction pictures: what the student saw, made of it, and should have made."""

from matplotlib.figure import Figure
from torch import Tensor

from trainer.asit.asit import Outputs, Views


def reconstruction_picture(views: Views, outputs: Outputs, examples: int = 3) -> Figure:
    """A column for each of the first examples' first views: clean, corrupted, reconstructed, mask."""
    count = min(examples, views.clean_QBFM.shape[1])
    figure = Figure(figsize=(4 * count, 7), layout="constrained")
    rows: tuple[tuple[str, Tensor], ...] = (
        ("clean", views.clean_QBFM),
        ("corrupted", views.corrupted_QBFM),
        ("reconstructed", outputs.reconstructed_QBFM),
        ("mask", views.mask_QBFM),
    )
    for column in range(count):
        clean = views.clean_QBFM[0, column].float()
        low, high = clean.min().item(), clean.max().item()
        for row, (name, images) in enumerate(rows):
            axes = figure.add_subplot(len(rows), count, row * count + column + 1)
            image = images[0, column].detach().float().cpu().T.numpy()
            drawn = axes.imshow(image, origin="lower", aspect="auto", interpolation="nearest")
            drawn.set_clim(*((0, 1) if name == "mask" else (low, high)))
            axes.set_xticks([])
            axes.set_yticks([])
            if column == 0:
                axes.set_ylabel(name)
    return figure
