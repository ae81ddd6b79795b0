"""A distilled student as the rest of the lab uses it: its checkpoint, and the device's `Classifier` over torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from asit_edge.labels import Label
from asit_edge.model.classifier import Classifier, SlidingWindow
from asit_edge.model.frontend import FrontEnd
from trainer.data.audioset import label_for
from trainer.models.cnn import WindowCnn
from trainer.models.streaming_vit import Memory, StreamViT
from trainer.run.checkpoint import load_checkpoint, read_file
from trainer.students.config import CNN, DistillConfig

STUDENT = "stream"
"""Kind of the checkpoints."""
DECISION_FRAMES = 32
"""Frames between decisions of a CNN where a checkpoint is evaluated: as a streaming student decides."""


HEADS = ("frame_head.", "chunk_head.", "network.classifier.5.")
"""Weights with one row a label."""


class DeviceStream(nn.Module):
    """What a device runs at every chunk: log-mel and caches in, probabilities of time steps and new caches out."""

    def __init__(self, model: StreamViT) -> None:
        super().__init__()
        self.model = model

    def forward(self, log_mel: Tensor, *caches: Tensor) -> tuple[Tensor, ...]:
        """(batch, frames, mels) and each (batch, *shape) to (batch, steps, classes) and each new cache."""
        logits, memory = self.model(log_mel, list(caches))
        return (torch.sigmoid(logits.frames), *memory)

    @property
    def cache_names(self) -> list[str]:
        """In the order of the memory."""
        stem = ["frames"] if self.model.config.stem else []
        return stem + [f"layer{index}" for index in range(len(self.model.config.layers))]


class TorchStream:
    """A student behind the device's `Classifier` protocol."""

    def __init__(self, model: StreamViT) -> None:
        self._device = DeviceStream(model).eval()
        self.chunk, self.steps = model.config.frames, model.config.chunk
        self._initial = model.silent_memory()

    def open(self) -> Memory:
        return list(self._initial)

    def step(self, chunks: npt.NDArray[np.float32], memories: Sequence[Memory]) -> npt.NDArray[np.float32]:
        caches = [torch.cat(tensors) for tensors in zip(*memories, strict=True)]
        with torch.inference_mode():
            scores, *following = self._device(torch.from_numpy(chunks).to(self._initial[-1].device), *caches)
        for row, memory in enumerate(memories):
            memory[:] = [cache[row : row + 1] for cache in following]
        result: npt.NDArray[np.float32] = scores.cpu().numpy()
        return result


class TorchWindows:
    """A network over windows as a window model of the device."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model.eval()

    def score(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            scores: npt.NDArray[np.float32] = self._model(torch.from_numpy(windows)).sigmoid().numpy()
        return scores


def new_student(config: DistillConfig, classes: int) -> nn.Module:
    """Untrained; its scores begin low, because most sounds are not there most of the time."""
    if config.size == CNN:
        cnn = WindowCnn(classes)
        nn.init.constant_(cnn.network.classifier[-1].bias, -4.0)  # type: ignore[arg-type]
        return cnn
    model = StreamViT(config.stream, classes, config.spec.silence)
    for head in (model.frame_head, model.chunk_head):
        nn.init.constant_(head.bias, -4.0)
    return model


def student_of(config: DistillConfig, labels: Sequence[str], weights: dict[str, Tensor]) -> nn.Module:
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


def student_classifier(student: nn.Module, spec: FrontEnd) -> Classifier:
    """A student behind the device's `Classifier` protocol."""
    if isinstance(student, StreamViT):
        return TorchStream(student)
    assert isinstance(student, WindowCnn)
    silence = np.full(spec.mels, spec.silence, np.float32)
    return SlidingWindow(TorchWindows(student), student.frames, DECISION_FRAMES, silence)


def load_student(
    path: Path, only: Sequence[str] | None = None
) -> tuple[nn.Module, DistillConfig, list[Label], dict[str, Any]]:
    """A checkpoint of `trainer.distill`, with all of its labels or `only` these; the record says how far it got.

    Raises WrongUse for labels that it does not have, AsitEdgeError if it is from a version that differs too much.
    """
    content = load_checkpoint(path, STUDENT)
    try:
        config = DistillConfig.from_plain(content["config"])
        names: list[str] = content["labels"]
        weights: dict[str, Tensor] = content["model"]
        record = {"step": content["step"], "test_fold": config.test_fold}
    except (KeyError, TypeError, ValueError) as error:
        raise AsitEdgeError(f"{path}: made by another version of the trainer ({one_line(error)[:200]})") from None
    if only is not None:
        if unknown := [name for name in only if name not in names]:
            raise WrongUse(f"{path}: has no label {unknown[0]!r}")
        rows = [names.index(name) for name in only]
        weights = {key: value[rows] if key.startswith(HEADS) else value for key, value in weights.items()}
        names = list(only)
    try:
        model = student_of(config, names, weights)
    except RuntimeError as error:
        raise AsitEdgeError(f"{path}: made by another version of the trainer ({one_line(error)[:200]})") from None
    return model, config, [label_for(name) for name in names], record
