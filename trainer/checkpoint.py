"""Checkpoints of classifiers: plain tensors, numbers and strings, whole or not there.

A checkpoint says what it is (`format`, `kind`) and carries labels, configuration and results of the run that made
it. Weights of other origins are read by `trainer.weights`.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save

from asit_edge.errors import AsitEdgeError, one_line
from asit_edge.labels import Label
from trainer.atomic_save import save_whole, write_whole
from trainer.classifier import ClipClassifier, Network, StreamClassifier
from trainer.crops import CropConfig
from trainer.finetune_config import FinetuneConfig
from trainer.weights import NOTES, read_file

FORMAT = "asit-edge/1"
CLASSIFIER = "classifier"


RESUMING = ("raw", "optimiser", "projection")
"""What a checkpoint has only for its run to go on."""
PATHS = ("initial", "live", "features")
"""Settings that name files."""


def new_classifier(config: FinetuneConfig, classes: int) -> Network:
    """The network that a configuration describes, with random weights."""
    if config.student is not None:
        return StreamClassifier(config.stream, classes, config.spec.silence)
    return ClipClassifier(config.backbone, classes, config.head, config.loss == "ce")


def save_checkpoint(path: Path, kind: str, content: dict[str, Any]) -> None:
    """A full disk or a kill leaves the previous file as it was. Raises AsitEdgeError if it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_whole({"format": FORMAT, "kind": kind, **content}, path)


def save_portable(path: Path, content: dict[str, Any]) -> None:
    """A checkpoint's content without what only its own run needs, as safetensors: weights in float16, the rest as JSON.

    Of settings that name files, only the files' names are kept. Every command reads it as it reads a checkpoint.
    """
    rest = {key: value for key, value in content.items() if key not in (*RESUMING, "model")}
    config = {key: Path(value).name if key in PATHS and value else value for key, value in rest["config"].items()}
    notes = {"format": FORMAT, **rest, "config": config}
    weights = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in content["model"].items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, save(weights, {NOTES: json.dumps(notes)}))


def load_checkpoint(path: Path, kind: str) -> dict[str, Any]:
    """The content of a checkpoint of that kind. Raises WrongUse or AsitEdgeError, naming the file."""
    content = read_content(path)
    if content.get("kind") != kind:
        raise AsitEdgeError(f"{path}: is a {content.get('kind')!r} checkpoint, not {kind!r}")
    return content


def checkpoint_kind(path: Path) -> str:
    """Which command made it. Raises WrongUse or AsitEdgeError, naming the file."""
    return str(read_content(path).get("kind"))


def read_content(path: Path) -> dict[str, Any]:
    """What a checkpoint of ours, of whatever kind, holds. Raises WrongUse or AsitEdgeError, naming the file."""
    content = read_file(path)
    if content.get("format") != FORMAT:
        raise AsitEdgeError(f"{path}: not an asit-edge checkpoint (no format {FORMAT!r})")
    return content


def save_classifier(
    path: Path, model: Network, config: FinetuneConfig, labels: list[Label], report: dict[str, Any]
) -> None:
    """Weights, labels, configuration, and what was measured on which data."""
    content = {
        "config": asdict(config),
        "labels": [label.model_dump() for label in labels],
        "report": report,
        "model": model.state_dict(),
    }
    save_checkpoint(path, CLASSIFIER, content)


def load_classifier(path: Path) -> tuple[Network, FinetuneConfig, list[Label], dict[str, Any]]:
    """What `save_classifier` wrote, ready for evaluation.

    Raises AsitEdgeError if it is from a version that differs too much.
    """
    content = load_checkpoint(path, CLASSIFIER)
    try:
        values = content["config"]
        config = FinetuneConfig(**{**values, "crops": CropConfig(**values["crops"])})
        labels = [Label(**label) for label in content["labels"]]
        model = new_classifier(config, len(labels))
        model.load_state_dict(content["model"])
        return model.eval(), config, labels, content["report"]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise AsitEdgeError(f"{path}: made by another version of the trainer ({one_line(error)[:200]})") from None
