"""Linear probe: how good are the features of a backbone that nobody fine-tuned?

`python -m trainer.probe WEIGHTS|random|log-mel --data ESC-50`: class token and mean of the patch tokens of every clip
are computed once; a logistic regression on them is trained on all folds but one and tested on that one. Its strength of
regularisation is chosen among the training folds only. `log-mel` is the floor of what features are worth: mean and
deviation of each bin of the clip, without any network.
"""

import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
import typer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from asit_edge.audio.samples import Samples
from asit_edge.errors import WrongUse
from asit_edge.model.frontend import FrontEnd, log_mel
from trainer.data.clips.batches import clip_windows
from trainer.data.layouts.esc50 import read_esc50
from trainer.models.pretrained import load_backbone, stored_backbone
from trainer.models.vit import SIZES, ViT, vit_config
from trainer.run.command import Threads, run

Features = npt.NDArray[np.float32]

LOG_MEL = "log-mel"
"""In place of weights: the front end alone."""

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths of regularisation to choose from, for standardised features."""


def clip_features(backbone: ViT, clips: Sequence[Samples], spec: FrontEnd, batch: int = 32) -> Features:
    """Waveforms at the front end's rate to (clips, 2 * width): class token and mean patch token.

    A clip is seen through windows of the length that the backbone was made for, every half window; its features are
    their mean. What is missing of a window is silence.
    """
    backbone = backbone.eval()
    windows: list[npt.NDArray[np.float32]] = []
    owner: list[int] = []
    for index, clip in enumerate(clips):
        for window in clip_windows(clip, spec, backbone.config.frames):
            windows.append(window)
            owner.append(index)
    features = []
    with torch.inference_mode():
        for first in tqdm(range(0, len(windows), batch), "features", disable=not sys.stderr.isatty()):
            log_mels = np.stack([log_mel(spec, window) for window in windows[first : first + batch]])
            tokens = backbone(torch.from_numpy(log_mels))
            features.append(torch.cat((tokens[:, 0], tokens[:, 1:].mean(dim=1)), dim=1).numpy())
    sums = np.zeros((len(clips), 2 * backbone.config.width), np.float32)
    np.add.at(sums, owner, np.concatenate(features))
    counts = np.bincount(owner, minlength=len(clips)).astype(np.float32)
    return (sums / counts[:, None]).astype(np.float32)


def log_mel_statistics(clips: Sequence[Samples], spec: FrontEnd) -> Features:
    """Mean and deviation over time of each bin of clips, (clips, 2 * mels)."""
    images = [log_mel(spec, np.pad(clip, (0, max(spec.window - len(clip), 0)))) for clip in clips]
    return np.stack([np.concatenate((image.mean(axis=0), image.std(axis=0))) for image in images])


def probe_folds(features: Features, classes: npt.NDArray[np.int64], folds: npt.NDArray[np.int64]) -> dict[int, float]:
    """Accuracy on each fold of a probe that was trained on the others. Raises WrongUse for fewer than three folds."""
    names = sorted({int(fold) for fold in folds})
    if len(names) < 3:
        raise WrongUse(f"a probe needs three folds (test, choice of regularisation, training); the data has {names}")
    return {fold: _probe(features, classes, folds, fold) for fold in names}


def _probe(features: Features, classes: npt.NDArray[np.int64], folds: npt.NDArray[np.int64], test: int) -> float:
    others = [int(fold) for fold in np.unique(folds) if fold != test]

    def accuracy(strength: float, train: npt.NDArray[np.bool_], on: npt.NDArray[np.bool_]) -> float:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features[train], classes[train])
        return float(model.score(features[on], classes[on]))

    def inner(strength: float) -> float:
        return float(np.mean([accuracy(strength, (folds != test) & (folds != fold), folds == fold) for fold in others]))

    best = max(STRENGTHS, key=inner)
    return accuracy(best, folds != test, folds == test)


def main(
    weights: Annotated[
        str, typer.Argument(help='Weights of trainer.pretrain, the authors, timm or DeiT; "random"; or "log-mel".')
    ],
    data: Annotated[Path, typer.Option(help="Folder in the ESC-50 layout.")],
    size: Annotated[str, typer.Option(help="Model size for random weights.")] = "nano",
    frames: Annotated[
        int | None, typer.Option(help="Length of a window in frames; default: what the weights were made for.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of random weights.")] = 0,
    threads: Threads = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Accuracy by fold of a logistic regression on a frozen backbone."""
    torch.manual_seed(seed)
    spec = FrontEnd()
    about: dict[str, Any] = {"weights": weights}
    if weights == LOG_MEL:
        dataset = read_esc50(data)
        features = log_mel_statistics(dataset.load(spec.sample_rate), spec)
    else:
        backbone, size = _backbone(weights, size, frames, spec)
        about |= {"size": size, "frames": backbone.config.frames}
        dataset = read_esc50(data)
        features = clip_features(backbone, dataset.load(spec.sample_rate), spec)
    folds = np.array([one.fold for one in dataset.recordings])
    accuracies = probe_folds(features, dataset.targets.argmax(axis=1), folds)
    mean = float(np.mean(list(accuracies.values())))
    if as_json:
        print(json.dumps(about | {"data": data.name, "accuracy": accuracies, "mean": mean}))
        return
    for fold, accuracy in accuracies.items():
        print(f"fold{fold}: accuracy {accuracy:.3f}")
    of = f", {size}, windows of {about['frames']} frames" if "frames" in about else ""
    print(f"mean: accuracy {mean:.3f} ({weights}{of})")


def _backbone(weights: str, size: str, frames: int | None, spec: FrontEnd) -> tuple[ViT, str]:
    """The backbone to probe, and the name of its size."""
    if weights == "random":
        if size not in SIZES:
            raise WrongUse(f"--size {size}: unknown; known are {', '.join(SIZES)}")
        return ViT(vit_config(size, frames or 192, spec.mels)), size
    size, native = stored_backbone(Path(weights))
    backbone = ViT(vit_config(size, frames or native, spec.mels))
    load_backbone(backbone, Path(weights))
    return backbone, size


if __name__ == "__main__":
    run("trainer.probe", main)
