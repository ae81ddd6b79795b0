"""Linear probe: how good are the features of a backbone that nobody fine-tuned?

`python -m trainer.probe WEIGHTS|random|log-mel --data ESC-50`: class token and mean of the patch tokens of every clip
are computed once; a logistic regression on them is trained on all folds but one and tested on that one. Its strength of
regularisation is chosen among the training folds only. `log-mel` is the floor of what features are worth: mean and
deviation of each bin of the clip, without any network.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from asit_edge.errors import WrongUse
from asit_edge.model.frontend import FrontEnd
from trainer.data.layouts.esc50 import read_esc50
from trainer.evaluation.frozen import clip_features, log_mel_statistics, probe_folds
from trainer.models.pretrained import load_backbone, stored_backbone
from trainer.models.vit import SIZES, ViT, vit_config
from trainer.run.command import Threads, run

LOG_MEL = "log-mel"
"""In place of weights: the front end alone."""


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
