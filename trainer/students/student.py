"""A distilled student as the rest of the lab uses it: a new one, its checkpoint, and one to begin another from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from asit_edge.errors import WrongUse
from asit_edge.labels import Label
from trainer.data.audioset import label_for
from trainer.models.cnn import WindowCnn
from trainer.models.streaming_mobilenet import StreamMobile, WarmConfig
from trainer.models.streaming_vit import StreamViT
from trainer.run.average import Weights
from trainer.run.checkpoint import load_checkpoint, made_by_this_version, read_file
from trainer.students.config import CNN, DistillConfig

STUDENT = "stream"
"""Kind of the checkpoints."""

HEADS = ("frame_head.", "chunk_head.", "correction.", "network.classifier.5.")
"""Weights with one row a label."""


def new_student(config: DistillConfig, classes: int) -> nn.Module:
    """Untrained; its scores begin low, because most sounds are not there most of the time."""
    if config.size == CNN:
        cnn = WindowCnn(classes)
        nn.init.constant_(cnn.network.classifier[-1].bias, -4.0)  # type: ignore[arg-type]
        return cnn
    if isinstance(config.stream, WarmConfig):
        return StreamMobile(config.stream, classes, config.spec)
    model = StreamViT(config.stream, classes, config.spec.silence)
    for head in (model.frame_head, model.chunk_head):
        nn.init.constant_(head.bias, -4.0)
    return model


def student_of(config: DistillConfig, labels: Sequence[str], weights: Weights) -> nn.Module:
    """A student with these weights, on the CPU, ready for evaluation."""
    model = new_student(config, len(labels))
    model.load_state_dict({key: value.cpu() for key, value in weights.items()})
    return model.eval()


def is_student(path: Path) -> bool:
    """Whether a file is a checkpoint of `trainer.distill`. Raises WrongUse or AsitEdgeError if it cannot be read."""
    return bool(read_file(path).get("kind") == STUDENT)


def begin_from(path: Path, model: nn.Module, labels: Sequence[str]) -> None:
    """Copies an earlier student's weights into `model`; a label that it does not know keeps its untrained row.

    Raises WrongUse where the sizes of the two differ.
    """
    earlier, _, known, _ = load_student(path)
    theirs = [label.name for label in known]
    weights = model.state_dict()
    found = earlier.state_dict()
    both = [(row, theirs.index(name)) for row, name in enumerate(labels) if name in theirs]
    for key, value in weights.items():
        there = found.get(key)
        if key.startswith(HEADS) and there is not None and there.shape[1:] == value.shape[1:]:
            value[[row for row, _ in both]] = there[[row for _, row in both]]
        elif there is not None and there.shape == value.shape:
            value.copy_(there)
        else:
            raise WrongUse(f"{path}: a student of another size ({key} does not fit); take the size of that run")


def load_student(
    path: Path, only: Sequence[str] | None = None
) -> tuple[nn.Module, DistillConfig, list[Label], dict[str, Any]]:
    """A checkpoint of `trainer.distill`, with all of its labels or `only` these; the record says how far it got.

    Raises WrongUse for labels that it does not have, AsitEdgeError if it is from a version that differs too much.
    """
    content = load_checkpoint(path, STUDENT)
    with made_by_this_version(path):
        config = DistillConfig.from_plain(content["config"])
        names: list[str] = content["labels"]
        weights: Weights = content["model"]
        record = {"step": content["step"], "test_fold": config.test_fold}
        if only is not None:
            if unknown := [name for name in only if name not in names]:
                raise WrongUse(f"{path}: has no label {unknown[0]!r}")
            rows = [names.index(name) for name in only]
            weights = {key: value[rows] if key.startswith(HEADS) else value for key, value in weights.items()}
            names = list(only)
        return student_of(config, names, weights), config, [label_for(name) for name in names], record
