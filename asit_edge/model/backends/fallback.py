"""Two backends for one model: the engine as long as it works, ONNX Runtime before it is ready and after it failed.

An engine may be offered from another thread while streams are being followed. A failing one is dropped for good, with
a warning; the step in which it failed is done again on ONNX Runtime, so no audio goes unscored.
"""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from asit_edge.errors import AsitEdgeError, one_line
from asit_edge.model.backends.serving import Serving
from asit_edge.model.backends.shapes import StreamBackend
from asit_edge.model.classifier import Embeddings, LogMels, Memory, Scores, WindowBackend

log = logging.getLogger(__name__)

Found = TypeVar("Found")


class SwitchedWindows:
    """A `WindowBackend` on an engine that falls back."""

    def __init__(self, fallback: WindowBackend, serving: Serving) -> None:
        self._fallback = fallback
        self._told = _Told(serving)
        self._engine: WindowBackend | None = None

    @property
    def on_engine(self) -> bool:
        return self._engine is not None

    def offer(self, engine: WindowBackend) -> None:
        """From now on the engine serves."""
        self._engine = engine

    def fall_back_on(self, backend: WindowBackend) -> None:
        """From now on this one serves, without an engine; the one before is let go."""
        self._fallback, self._engine = backend, None

    def score(self, windows: LogMels) -> Scores:
        if engine := self._engine:
            try:
                return engine.score(windows)
            except Exception as error:  # whatever it is, a listener goes on
                self._engine = None
                self._told.failed(error)
        return self._fallback.score(windows)


class Held:
    """A stream's memory, and the backend that it is a memory of."""

    def __init__(self, owner: StreamBackend, memory: Memory) -> None:
        self.owner = owner
        self.memory = memory


class SwitchedStream:
    """A streaming `Classifier` on an engine that falls back. What streams remember moves with them."""

    def __init__(self, fallback: StreamBackend, serving: Serving) -> None:
        self._fallback = fallback
        self._told = _Told(serving)
        self._engine: StreamBackend | None = None
        self.chunk = fallback.chunk
        self.steps = fallback.steps

    @property
    def on_engine(self) -> bool:
        return self._engine is not None

    def offer(self, engine: StreamBackend) -> None:
        """From now on the engine serves; streams move over with their next chunk."""
        self._engine = engine

    def fall_back_on(self, backend: StreamBackend) -> None:
        """From now on this one serves, without an engine; the one before is let go once every stream has moved."""
        self._fallback, self._engine = backend, None

    def open(self) -> Held:
        fallback = self._fallback
        return Held(fallback, fallback.open())

    @property
    def embedding(self) -> int | None:
        return self._fallback.embedding

    def step(self, chunks: LogMels, memories: Sequence[Held]) -> Scores:
        return self._step(lambda backend, own: backend.step(chunks, own), memories)

    def step_embedded(self, chunks: LogMels, memories: Sequence[Held]) -> tuple[Scores, Embeddings]:
        return self._step(lambda backend, own: backend.step_embedded(chunks, own), memories)

    def _step(self, run: Callable[[StreamBackend, list[Memory]], Found], memories: Sequence[Held]) -> Found:
        if engine := self._engine:
            try:
                before = [held.owner.suspend(held.memory) if held.owner is not engine else None for held in memories]
                for held, state in zip(memories, before, strict=True):
                    if state is not None:
                        held.memory, held.owner = engine.resume(state), engine
                return run(engine, [held.memory for held in memories])
            except Exception as error:  # whatever it is, a listener goes on
                self._engine = None
                self._told.failed(error)
        fallback = self._fallback
        for held in memories:
            if held.owner is not fallback:
                self._bring_back(held, fallback)
        return run(fallback, [held.memory for held in memories])

    def _bring_back(self, held: Held, fallback: StreamBackend) -> None:
        try:
            state = held.owner.suspend(held.memory)
            if not all(np.isfinite(values).all() for values in state.values()):
                raise AsitEdgeError("its states are not numbers")
            held.memory = fallback.resume(state)
        except Exception as error:
            log.warning("what the engine remembered of a stream is lost (%s); it starts from silence", error)
            held.memory = fallback.open()
        held.owner = fallback


class _Told:
    """What is said of a failure: in the log, and to whoever asks what serves."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._first = serving.now

    def failed(self, error: Exception) -> None:
        failed = self._serving.now
        name = failed.backend if failed else "the engine"
        if self._first is not None:
            why = f"{name} failed"
            self._serving.tell(self._first.backend, self._first.precision, why, fallback=one_line(error)[:200])
        log.warning("%s failed (%s); ONNX Runtime serves from here on", _ENGINE.get(name, name), error)


_ENGINE = {"tensorrt": "the TensorRT engine"}
