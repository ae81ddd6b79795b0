"""From a network to what a device runs: log-mel in, probabilities out, and the device's own `Classifier` over torch.

The one door for whatever scores sound with a network in memory, and for what is exported.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from asit_edge.model.classifier import Classifier, SlidingWindow
from asit_edge.model.frontend import FrontEnd
from trainer.models.cnn import WindowCnn
from trainer.models.finetuned import FinetunedNetwork, StreamNetwork, WindowNetwork
from trainer.models.streaming import StreamingModel, is_streaming
from trainer.models.streaming_vit import Memory

WINDOW_INTERVAL = 48
"""Frames that a fine-tuned window model hears between decisions, where no bundle says otherwise."""

CNN_INTERVAL = 32
"""The same of the CNN baseline: as a streaming student decides."""


class WindowScores(nn.Module):
    """A fine-tuned network with its logits turned into probabilities."""

    def __init__(self, network: FinetunedNetwork, steps: int = 1) -> None:
        """With a frame head, the newest `steps` time patches are given out, (batch, steps, classes)."""
        super().__init__()
        self.classifier = network  # layers of exported models are named by it
        self.steps = steps

    def forward(self, log_mel: Tensor) -> Tensor:
        logits = self.classifier(log_mel)
        if self.classifier.kind == "frame":
            logits = logits[:, -self.steps :]
        return logits.softmax(dim=-1) if self.classifier.exclusive else torch.sigmoid(logits)


class StreamStep(nn.Module):
    """What a device runs at every chunk: log-mel and caches in; probabilities of time steps, an embedding of the chunk
    and new caches out."""

    def __init__(self, model: StreamingModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, log_mel: Tensor, *caches: Tensor) -> tuple[Tensor, ...]:
        """(batch, frames, mels), (batch, *shape) each to (batch, steps, classes), (batch, numbers), each new cache."""
        embedded, memory = self.model.embed(log_mel, list(caches))
        return (torch.sigmoid(self.model.classify(embedded).frames), embedded.mean(dim=1), *memory)

    @property
    def embedding(self) -> int:
        """Numbers of an embedding."""
        return self.model.embedding

    @property
    def cache_names(self) -> list[str]:
        """In the order of the memory."""
        return self.model.cache_names


@dataclass(frozen=True)
class WindowShape:
    """A network over windows as a device runs it: `module` gives `steps` decisions every `interval` frames."""

    module: nn.Module
    """Log-mel (batch, frames, mels) to probabilities."""
    frames: int
    interval: int
    steps: int = 1


def stream_of(network: nn.Module) -> StreamingModel | None:
    """The streaming model in a network; None where it is one over windows."""
    inner = network.student if isinstance(network, StreamNetwork) else network
    return inner if is_streaming(inner) else None


def window_shape(network: nn.Module) -> WindowShape:
    """How a device runs a fine-tuned window model or the CNN baseline."""
    if isinstance(network, WindowCnn):
        return WindowShape(nn.Sequential(network, nn.Sigmoid()), network.frames, CNN_INTERVAL)
    assert isinstance(network, WindowNetwork)
    backbone = network.backbone.config
    steps = WINDOW_INTERVAL // backbone.stride if network.kind == "frame" else 1
    return WindowShape(WindowScores(network, steps), backbone.frames, WINDOW_INTERVAL, steps)


def device_classifier(network: nn.Module, front_end: FrontEnd) -> Classifier:
    """A network behind the device's `Classifier` protocol, computed by torch where its weights lie."""
    stream = stream_of(network)
    if stream is not None:
        return TorchStream(stream)
    shape = window_shape(network)
    silence = np.full(front_end.mels, front_end.silence, np.float32)
    return SlidingWindow(TorchWindows(shape.module), shape.frames, shape.interval, silence, shape.steps)


class TorchWindows:
    """A network from log-mel windows to probabilities as a window model of the device."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module.eval()

    def score(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        device = next(self._module.parameters()).device
        with torch.inference_mode():
            scores: npt.NDArray[np.float32] = self._module(torch.from_numpy(windows).to(device)).cpu().numpy()
        return scores


class TorchStream:
    """A streaming model as the device follows streams with it."""

    def __init__(self, model: StreamingModel) -> None:
        self._device = StreamStep(model).eval()
        self.chunk, self.steps, self.embedding = model.config.frames, model.config.chunk, model.embedding
        self._initial = model.silent_memory()

    def open(self) -> Memory:
        return list(self._initial)

    def step(self, chunks: npt.NDArray[np.float32], memories: Sequence[Memory]) -> npt.NDArray[np.float32]:
        return self.step_embedded(chunks, memories)[0]

    def step_embedded(
        self, chunks: npt.NDArray[np.float32], memories: Sequence[Memory]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        caches = [torch.cat(tensors) for tensors in zip(*memories, strict=True)]
        with torch.inference_mode():
            scores, embedded, *following = self._device(torch.from_numpy(chunks).to(self._initial[-1].device), *caches)
        for row, memory in enumerate(memories):
            memory[:] = [cache[row : row + 1] for cache in following]
        return scores.cpu().numpy(), embedded.cpu().numpy()
