"""Checkpoints of fine-tuned networks: plain tensors, numbers and strings, whole or not there.

A checkpoint says what it is (`format`, `kind`) and carries labels, configuration and results of the run that made
it. Weights of other origins are read by `trainer.models.pretrained`.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from asit_edge.labels import Label
from trainer.data.clips.windows import CropConfig
from trainer.finetuning.config import FinetuneConfig
from trainer.models.finetuned import FinetunedNetwork, StreamNetwork, WindowNetwork
from trainer.run.checkpoint import load_checkpoint, made_by_this_version, save_checkpoint

FINETUNED = "classifier"
"""Kind of the checkpoints."""


def new_network(config: FinetuneConfig, classes: int) -> FinetunedNetwork:
    """The network that a configuration describes, with random weights."""
    if config.student is not None:
        return StreamNetwork(config.stream, classes, config.spec)
    return WindowNetwork(config.backbone, classes, config.head, config.loss == "ce")


def save_finetuned(
    path: Path, model: FinetunedNetwork, config: FinetuneConfig, labels: list[Label], report: dict[str, Any]
) -> None:
    """Weights, labels, configuration, and what was measured on which data."""
    content = {
        "config": asdict(config),
        "labels": [label.model_dump() for label in labels],
        "report": report,
        "model": model.state_dict(),
    }
    save_checkpoint(path, FINETUNED, content)


def load_finetuned(path: Path) -> tuple[FinetunedNetwork, FinetuneConfig, list[Label], dict[str, Any]]:
    """What `save_finetuned` wrote, ready for evaluation.

    Raises AsitEdgeError if it is from a version that differs too much.
    """
    content = load_checkpoint(path, FINETUNED)
    with made_by_this_version(path):
        values = content["config"]
        config = FinetuneConfig(**{**values, "crops": CropConfig(**values["crops"])})
        labels = [Label(**label) for label in content["labels"]]
        model = new_network(config, len(labels))
        model.load_state_dict(content["model"])
        return model.eval(), config, labels, content["report"]
