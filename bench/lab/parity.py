"""How near ours is to the authors' two releases: `python -m bench.lab.parity` prints the tables.

Two training steps are replayed from the numbers in tests/data/asit_reference, and masks and prototypes are drawn by our
own code and held against theirs. `scripts/make-asit-reference CHECKOUT` makes the numbers of 2023, the masks of both
releases and the prototypes' lengths anew from the authors' repository; the code of March 2024, whose steps the other
file has, is not in it.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import typer
from torch import Tensor, nn

from trainer.asit.asit import ASiT, ASiTConfig, Outputs, Views
from trainer.asit.config import VARIANTS, make_config
from trainer.asit.corruption import corrupt, draw_plan
from trainer.asit.heads import WeightNormLinear
from trainer.models.pretrained import our_name
from trainer.models.vit import ViTConfig
from trainer.run.optimisation import clip_each, freeze, parameter_groups, set_rates
from trainer.run.schedules import teacher_temperature

Numbers = Mapping[str, npt.NDArray[np.float32]]

FOLDER = Path(__file__).parents[2] / "tests" / "data" / "asit_reference"
EPOCHS = {"2024": (0, 3), "2023": (0, 15)}
"""Of the two steps."""


def reference(release: str) -> Numbers:
    with np.load(FOLDER / ("reference.npz" if release == "2024" else "reference_2023.npz")) as archive:
        return dict(archive)


def network(release: str, numbers: Numbers) -> ASiT:
    """Student and teacher of that release's kind, with the weights that the numbers begin with."""
    sizes = list(map(int, numbers["config"]))
    settings = make_config(release, None, {"data": ["-"]})
    width, depth, heads, frames, mels = sizes[:5]
    backbone = ViTConfig(width, depth, heads, frames, mels, drop_path=0.0)
    hidden, bottleneck, prototypes = sizes[6:9] if release == "2024" else sizes[5:8]
    patches, reconstruction, narrow = (None, None, None) if release == "2024" else sizes[8:11]
    asit = ASiT(
        ASiTConfig(
            backbone,
            hidden,
            bottleneck,
            prototypes,
            patches,
            settings.frozen_scale,
            reconstruction,
            narrow,
            global_weight=settings.global_weight,
            local_weight=settings.local_weight,
            reconstruction_weight=settings.reconstruction_weight,
        )
    )
    for one in (asit.student, asit.teacher):
        _load(one, numbers)
    return asit


def replay(release: str) -> dict[str, float]:
    """Greatest relative difference of each kind of number in two steps, each to the largest magnitude of its array;
    gradient norms each to itself."""
    numbers = reference(release)
    asit = network(release, numbers)
    settings = make_config(release, None, {"data": ["-"]})
    optimiser = torch.optim.AdamW(parameter_groups(asit.student))
    parameters = dict(asit.student.named_parameters())
    order = [our_name(str(name)) for name in numbers["parameter_order"]]
    found: dict[str, float] = {}

    def note(kind: str, ours: Tensor | float, theirs: npt.ArrayLike) -> None:
        found[kind] = float(np.maximum(found.get(kind, 0.0), relative(ours, theirs)))  # keeps what is no number

    for step, epoch in enumerate(EPOCHS[release]):
        expected = {
            key.removeprefix(f"step{step}/"): value for key, value in numbers.items() if key.startswith(f"step{step}/")
        }
        views = views_of(expected)
        temperature = teacher_temperature(epoch, settings.temperature_warm_up, 0.04, 0.07)
        taught = asit.teach(views, temperature)
        outputs: Outputs = asit.student(views.corrupted_QBFM, views.local_LBFM if len(views.local_LBFM) else None)
        losses = asit.losses(views, taught, outputs)
        optimiser.zero_grad()
        losses.total.backward()  # type: ignore[no-untyped-call]
        norms = clip_each([parameters[name] for name in order], 3.0).numpy()
        if epoch < settings.frozen_epochs:
            freeze(asit.last_layers())
        set_rates(optimiser, learning_rate=1e-3, weight_decay=0.1)
        optimiser.step()
        asit.close_step(momentum=0.99)
        for name, loss in zip(("total", "global", "local", "reconstruction"), losses, strict=True):
            note("losses", loss, expected[name])
        note("centres", asit.centre_class.value, expected["center_class"])
        note("centres", asit.centre_patch.value, expected["center_patch"])
        theirs = expected["grad_norms"]
        norm_error = np.maximum(np.abs(norms - theirs) - 1e-7, 0) / np.maximum(np.abs(theirs), 1e-12)
        found["gradient norms"] = float(np.maximum(found.get("gradient norms", 0.0), norm_error.max()))
        if release == "2024":
            note("class logits", outputs.class_VBK[2:].flatten(0, 1), expected["student_class_local"])
            note("reconstructions", outputs.reconstructed_QBFM[0, 0], expected["reconstructed"])
        else:
            note("class logits", outputs.class_VBK.flatten(0, 1), expected["student_class"])
            note("patch logits", outputs.patch_QBNK.flatten(0, 2), expected["student_patch"])
            note("reconstructions", outputs.reconstructed_QBFM[0, 0], expected["reconstructed"])
    found["student after two steps"] = _difference(asit.student, numbers, "after/")
    found["teacher after two steps"] = _difference(asit.teacher, numbers, "after_teacher/")
    return found


def views_of(expected: Numbers) -> Views:
    """A step's views: two global ones with their masks, and the local ones, if there are any."""

    def stacked(name: str, first: int, last: int) -> Tensor:
        return torch.from_numpy(np.stack([expected[f"{name}{view}"][:, 0] for view in range(first, last)]))

    clean, mask = stacked("clean", 0, 2), stacked("mask", 0, 2).bool()
    local = stacked("clean", 2, 6) if "clean2" in expected else clean[:0]
    return Views(clean, clean * ~mask, mask, local)


def relative(ours: Tensor | float, theirs: npt.ArrayLike) -> float:
    """The greatest difference, to the largest magnitude of the array."""
    expected = np.asarray(theirs, np.float64)
    found = np.asarray(torch.as_tensor(ours).detach(), np.float64).reshape(expected.shape)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def coverage(masks_VFM: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    """Of masks (views, 592, 128): how often each frame and bin is covered, each view's area, and the shares of patches
    that are covered wholly and not at all."""
    patches = masks_VFM.reshape(len(masks_VFM), 37, 16, 8, 16).mean(axis=(2, 4))
    return {
        "frames": masks_VFM.mean(axis=(0, 2)),
        "bins": masks_VFM.mean(axis=(0, 1)),
        "area": masks_VFM.mean(axis=(1, 2)),
        "whole": np.asarray((patches == 1).mean(), np.float32),
        "untouched": np.asarray((patches == 0).mean(), np.float32),
    }


def masks(release: str, views: int = 400) -> dict[str, tuple[Numbers, Numbers]]:
    """Theirs and ours, of blanked and of replaced views; ours from twice `views` views."""
    config = make_config(release, None, {"data": ["-"]}).corruption
    plan = draw_plan(config, 2, views, (592, 128), torch.Generator().manual_seed(0))
    _, painted = corrupt(torch.zeros(2, views, 592, 128), plan, config)
    theirs = reference("2023")
    found: dict[str, tuple[Numbers, Numbers]] = {}
    for kind, replaced in (("dropped", False), ("replaced", True)):
        prefix = f"masks{release}/{kind}/"
        authors = {name.removeprefix(prefix): value for name, value in theirs.items() if name.startswith(prefix)}
        found[kind] = authors, coverage(painted[plan.replaced == replaced].float().numpy())
    return found


def _load(one: nn.Module, numbers: Numbers) -> None:
    one.load_state_dict(
        {
            our_name(name.removeprefix("weights/")): torch.from_numpy(array)
            for name, array in numbers.items()
            if name.startswith("weights/")
        }
    )


def _difference(one: nn.Module, numbers: Numbers, prefix: str) -> float:
    """Of any weight; without the keys' biases: their gradient is zero but for rounding, of which AdamW makes whole
    steps."""
    greatest = 0.0
    for key, theirs in numbers.items():
        if not key.startswith(prefix):
            continue
        ours = one.state_dict()[our_name(key.removeprefix(prefix))]
        if key.endswith("attn.qkv.bias"):
            width = len(theirs) // 3
            ours = torch.cat((ours[:width], ours[2 * width :]))
            theirs = np.concatenate((theirs[:width], theirs[2 * width :]))
        greatest = float(np.maximum(greatest, relative(ours, theirs)))
    return greatest


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    found = {release: replay(release) for release in VARIANTS if release in EPOCHS}
    print("| greatest relative difference in two steps | 2024 | 2023 |\n|---|---|---|")
    for kind in dict.fromkeys(kind for release in found.values() for kind in release):
        cells = (f"{found[release][kind]:.1e}" if kind in found[release] else "" for release in EPOCHS)
        print(f"| {kind} | {' | '.join(cells)} |")
    print("\n| masks: theirs, ours | first, last frame | lowest, top bin | median area | patches whole, untouched |")
    print("|---|---|---|---|---|")
    for release in EPOCHS:
        for kind, both in masks(release).items():
            rows = []
            for one in both:
                ends = (one["frames"][0], one["frames"][-1], one["bins"][0], one["bins"][-1])
                rows.append((*ends, np.median(one["area"]), one["whole"], one["untouched"]))
            first, last, low, top, area, whole, bare = (
                f"{theirs:.2f}, {ours:.2f}" for theirs, ours in zip(*rows, strict=True)
            )
            print(f"| {release}, {kind} | {first}; {last} | {low}; {top} | {area} | {whole}; {bare} |")
    torch.manual_seed(0)
    ours = WeightNormLinear(256, 4096).weight_v.norm(dim=1)
    theirs = reference("2023")["row_norms"]
    print(f"\nprototypes' length at the start: theirs {theirs.mean():.3f}, ours {ours.mean().item():.3f}")


if __name__ == "__main__":
    typer.run(main)
