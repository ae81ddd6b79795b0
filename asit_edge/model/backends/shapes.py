"""Both shapes of model on every backend, and any of them as the `Classifier` that a pipeline follows streams with.

A backend of a window model is a `WindowBackend`; that of a streaming model is a `Classifier` already, whose memories
can move to another backend.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from asit_edge.errors import WrongUse
from asit_edge.model.backends.cuda import Cuda
from asit_edge.model.backends.device import DeviceStream, DeviceWindows, Runner
from asit_edge.model.backends.onnx import OnnxStream, OnnxWindows, read_initial
from asit_edge.model.backends.session import Provider
from asit_edge.model.backends.tensorrt import Engine
from asit_edge.model.bundle import Bundle, StreamModel
from asit_edge.model.classifier import Classifier, Embedding, Memory, SlidingWindow, WindowBackend

State = Mapping[str, npt.NDArray[np.generic]]
"""What a streaming model remembers of a stream: the name of each cache to its values, without batch."""


class StreamBackend(Embedding, Protocol):
    """A streaming model whose memories can go on in another backend."""

    def resume(self, state: State) -> Memory: ...

    def suspend(self, memory: Memory) -> State: ...


Backend = WindowBackend | StreamBackend


def open_onnx(bundle: Bundle, threads: int = 1, provider: Provider = "cpu") -> Backend:
    """The bundle's model on ONNX Runtime. Raises AsitEdgeError or WrongUse if it cannot be."""
    if isinstance(bundle.manifest.model, StreamModel):
        return OnnxStream(bundle, threads, provider)
    return OnnxWindows(bundle, threads, provider)


def open_engine(bundle: Bundle, cuda: Cuda, engine: Engine, batch: int) -> Backend:
    """A loaded engine of the bundle's model. Raises AsitEdgeError if its tensors are not as the bundle says."""
    shape = bundle.manifest.model
    if not isinstance(shape, StreamModel):
        return DeviceWindows(Runner(cuda, engine, {}, batch), bundle.manifest.front_end.type)
    runner = Runner(cuda, engine, {name: f"next_{name}" for name in shape.caches}, batch)
    initial = dict(zip(shape.caches, read_initial(bundle), strict=True))
    return DeviceStream(runner, shape, initial)


def as_classifier(bundle: Bundle, backend: Backend, interval: float | None = None) -> Classifier:
    """A backend of the bundle's model, deciding every `interval` seconds (None: as the bundle says).

    Raises WrongUse if the model has an interval of its own that cannot be changed.
    """
    front_end, shape = bundle.manifest.front_end, bundle.manifest.model
    frames = None if interval is None else max(round(interval * front_end.sample_rate / front_end.hop), 1)
    if isinstance(shape, StreamModel):
        if frames not in (None, shape.frames):
            own = shape.frames * front_end.hop / front_end.sample_rate
            raise WrongUse(
                f"events.interval ({interval}): {bundle.manifest.name} is a streaming model and hears every {own:g} s; "
                f"leave the key out or set it to {own:g}"
            )
        return backend  # type: ignore[return-value]
    if frames is not None and shape.steps > 1:
        seconds = shape.interval * front_end.hop / front_end.sample_rate
        raise WrongUse(f"events.interval: the model scores every {seconds:g} s in parts, which cannot be changed")
    silence = np.full(front_end.width, front_end.silence, np.float32)
    return SlidingWindow(backend, shape.frames, frames or shape.interval, silence, shape.steps)  # type: ignore[arg-type]


def open_classifier(
    bundle: Bundle, threads: int = 1, interval: float | None = None, provider: Provider = "cpu"
) -> Classifier:
    """The bundle's model on ONNX Runtime, deciding every `interval` seconds (None: as the bundle says).

    Raises AsitEdgeError if the model cannot be loaded, WrongUse if it is a streaming one and has another interval.
    """
    return as_classifier(bundle, open_onnx(bundle, threads, provider), interval)
