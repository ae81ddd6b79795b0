"""Checkpoints of classifiers: plain tensors, numbers and strings, whole or not there.

A checkpoint says what it is (`format`, `kind`) and carries labels, configuration and results of the run that made
it. Weights of other origins are read by `trainer.models.pretrained`.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from asit_edge.errors import AsitEdgeError, one_line
from asit_edge.labels import Label
from trainer.data.crops import CropConfig
from trainer.finetuning.config import FinetuneConfig
from trainer.models.classifier import ClipClassifier, Network, StreamClassifier
from trainer.run.checkpoint import load_checkpoint, save_checkpoint

CLASSIFIER = "classifier"


def new_classifier(config: FinetuneConfig, classes: int) -> Network:
    """The network that a configuration describes, with random weights."""
    if config.student is not None:
        return StreamClassifier(config.stream, classes, config.spec.silence)
    return ClipClassifier(config.backbone, classes, config.head, config.loss == "ce")


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
