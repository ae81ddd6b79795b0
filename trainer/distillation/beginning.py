"""What a warm-started student begins with: the convolutions and the classifier of a teacher."""

from collections.abc import Sequence
from pathlib import Path

from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.models.streaming_mobilenet import StreamMobile
from trainer.teachers.efficientat import EfficientAt


def begin_warm(file: Path, model: StreamMobile, labels: Sequence[str]) -> None:
    """A student that begins as an EfficientAT teacher. Raises WrongUse or AsitEdgeError where the file is none."""
    if not file.is_file():
        raise WrongUse(f"{file}: no such teacher")
    teacher = EfficientAt(file)
    if unknown := [name for name in labels if name not in teacher.labels]:
        raise AsitEdgeError(f"{file}: does not know {unknown[0]!r}")
    try:
        model.begin_with(teacher.model, [teacher.labels.index(name) for name in labels])
    except RuntimeError:
        raise WrongUse(f"{file}: is of another width than the student's convolutions; take mn04") from None
