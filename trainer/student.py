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
from trainer.audioset import label_for
from trainer.checkpoint import load_checkpoint
from trainer.distill_config import DistillConfig
from trainer.streaming_vit import Memory, StreamViT

STREAM = "stream"
"""Kind of the checkpoints."""


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
            scores, *following = self._device(torch.from_numpy(chunks), *caches)
        for row, memory in enumerate(memories):
            memory[:] = [cache[row : row + 1] for cache in following]
        result: npt.NDArray[np.float32] = scores.numpy()
        return result


def load_student(
    path: Path, only: Sequence[str] | None = None
) -> tuple[StreamViT, DistillConfig, list[Label], dict[str, Any]]:
    """A checkpoint of `trainer.distill`, with all of its labels or `only` these; the record says how far it got.

    Raises WrongUse for labels that it does not have, AsitEdgeError if it is from a version that differs too much.
    """
    content = load_checkpoint(path, STREAM)
    try:
        config = DistillConfig.from_plain(content["config"])
        names: list[str] = content["labels"]
        weights: dict[str, Tensor] = content["model"]
        record = {"step": content["step"]}
    except (KeyError, TypeError, ValueError) as error:
        raise AsitEdgeError(f"{path}: made by another version of the trainer ({one_line(error)[:200]})") from None
    if only is not None:
        if unknown := [name for name in only if name not in names]:
            raise WrongUse(f"{path}: has no label {unknown[0]!r}")
        rows = [names.index(name) for name in only]
        heads = ("frame_head.weight", "frame_head.bias", "chunk_head.weight", "chunk_head.bias")
        weights = {key: value[rows] if key in heads else value for key, value in weights.items()}
        names = list(only)
    model = StreamViT(config.stream, len(names), config.spec.silence)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise AsitEdgeError(f"{path}: made by another version of the trainer ({one_line(error)[:200]})") from None
    return model.eval(), config, [label_for(name) for name in names], record
