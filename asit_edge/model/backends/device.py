"""Running an engine on a GPU: pinned buffers, one stream, CUDA graphs, and caches that never leave the device.

A streaming model's states live in two arenas of slots, one slot a stream: a step reads a slot in one arena and writes
the same slot in the other, then they change places. Streams in neighbouring slots form one batch where they are; no
state is ever gathered, copied or sent over the bus.
"""

import ctypes
import logging
import weakref
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.backends.cuda import Cuda
from asit_edge.model.backends.tensorrt import Context, Engine, Tensor
from asit_edge.model.bundle import EMBEDDING, StreamModel
from asit_edge.model.classifier import NO_EMBEDDINGS, Embeddings, LogMels, Scores

log = logging.getLogger(__name__)

ALIGNMENT = 256
"""TensorRT wants addresses that are multiples of this."""

MOST_GRAPHS = 16
"""Contexts and their graphs are kept for that many ways of stepping (batch and place); others share one, uncaptured."""

Where = tuple[int, int, int]
"""Streams in the batch, first slot, arena that is read: all that tells one queued step from another."""


class Runner:
    """An engine with its buffers. Not for several threads at a time."""

    def __init__(self, cuda: Cuda, engine: Engine, states: Mapping[str, str], batch: int) -> None:
        """`states` maps inputs that stay on the device to the outputs that replace them; `batch` is the engine's.

        Raises AsitEdgeError if the engine's tensors are not as they should be or memory is short.
        """
        self._cuda = cuda
        self._engine = engine
        self.batch = batch
        tensors = {tensor.name: tensor for tensor in engine.tensors}
        for name, successor in states.items():
            if name not in tensors or successor not in tensors or tensors[name].shape != tensors[successor].shape:
                raise AsitEdgeError(f"the engine has no state {name} that {successor} replaces")
            if tensors[name].row % ALIGNMENT:
                raise AsitEdgeError(f"the state {name} has {tensors[name].row} bytes, not a multiple of {ALIGNMENT}")
        moving = set(states) | set(states.values())
        self._states = dict(states)
        self._tensors = tensors
        self._staged = [tensor for tensor in engine.tensors if tensor.name not in moving]
        self._common = engine.context()
        self._graphs: dict[Where, Callable[[], None]] = {}
        self._contexts: dict[Where, Context] = {}
        self._captures = True
        self._device: dict[str, int] = {}
        self._host: dict[str, npt.NDArray[np.generic]] = {}
        self._owned: list[Callable[[], None]] = []
        cuda.enter()
        for tensor in self._staged:
            self._device[tensor.name] = self._allocate(tensor.row * batch)
            self._host[tensor.name] = self._pinned(tensor)
        self._arenas: list[dict[str, int]] = [{}, {}]
        self.slots = 0
        weakref.finalize(self, _release, cuda, self._owned).atexit = False  # the driver frees what is left

    def reserve(self, slots: int) -> None:
        """Makes room for that many streams; what the present ones have is kept."""
        if slots <= self.slots or not self._states:
            return
        self._cuda.enter()
        for arena in self._arenas:
            for name in self._states:
                row = self._tensors[name].row
                larger = self._allocate(row * slots)
                if self.slots:
                    self._cuda.copy(larger, arena[name], row * self.slots)
                    self._cuda.synchronise()
                    self._free(arena[name])
                arena[name] = larger
        self._cuda.synchronise()
        self.slots = slots
        self._graphs.clear()  # they have the old addresses
        self._contexts.clear()

    def write_state(self, slot: int, arena: int, state: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Puts a stream's states (name of the input to an array without batch) into a slot."""
        self._cuda.enter()
        for name in self._states:
            tensor = self._tensors[name]
            values = np.ascontiguousarray(state[name], tensor.dtype).reshape(tensor.shape)
            self._cuda.upload(self._arenas[arena][name] + slot * tensor.row, values.ctypes.data, tensor.row)
            self._cuda.synchronise()  # `values` is not pinned, and ours only until here

    def read_state(self, slot: int, arena: int) -> dict[str, npt.NDArray[np.generic]]:
        """A stream's states, as `write_state` takes them."""
        self._cuda.enter()
        state: dict[str, npt.NDArray[np.generic]] = {}
        for name in self._states:
            tensor = self._tensors[name]
            values = np.empty(tensor.shape, tensor.dtype)
            self._cuda.download(values.ctypes.data, self._arenas[arena][name] + slot * tensor.row, tensor.row)
            self._cuda.synchronise()
            state[name] = values
        return state

    def run(
        self, inputs: Mapping[str, npt.NDArray[np.generic]], first: int = 0, arena: int = 0
    ) -> dict[str, npt.NDArray[np.generic]]:
        """One step of the streams in slots `first` and following; inputs and outputs have the batch in front.

        Raises AsitEdgeError if the GPU fails.
        """
        count = len(next(iter(inputs.values())))
        self._cuda.enter()
        for name, values in inputs.items():
            self._host[name][:count] = values
        self._run((count, first if self._states else 0, arena if self._states else 0))
        self._cuda.synchronise()
        outputs = [tensor for tensor in self._staged if not tensor.is_input]
        return {tensor.name: self._host[tensor.name][:count].copy() for tensor in outputs}

    def _run(self, where: Where) -> None:
        """Queues a step: as a graph where there is one.

        A graph that cannot be captured or launched is no reason to leave the GPU: from then on steps are queued piece
        by piece. If the GPU itself is gone, that fails too.
        """
        if graph := self._graphs.get(where):
            try:
                graph()
                return
            except AsitEdgeError as error:
                self._without_graphs(error)
        if where in self._contexts:
            self._queue(self._contexts[where], where)
        elif len(self._contexts) < MOST_GRAPHS:
            self._first_run(where)
        else:
            self._common.prepare(where[0], self._addresses(where))
            self._queue(self._common, where)

    def _first_run(self, where: Where) -> None:
        """Runs once as it is, then captures a graph for the next time.

        Every way of stepping has a context of its own, whose shapes and addresses are set here, once: a graph holds
        them for good. The plain run first is what TensorRT asks for, so that nothing is left to set up while the
        capture listens.
        """
        context = self._engine.context()
        context.prepare(where[0], self._addresses(where))
        self._queue(context, where)
        self._cuda.synchronise()
        self._contexts[where] = context
        if self._captures:
            try:
                self._graphs[where] = self._cuda.capture(lambda: self._queue(context, where))
            except AsitEdgeError as error:
                self._without_graphs(error)

    def _without_graphs(self, error: AsitEdgeError) -> None:
        log.warning("CUDA graphs do not work here (%s); TensorRT goes on without them", error)
        self._captures = False
        self._graphs.clear()

    def _addresses(self, where: Where) -> dict[str, int]:
        _, first, arena = where
        addresses = dict(self._device)
        for name, successor in self._states.items():
            offset = first * self._tensors[name].row
            addresses[name] = self._arenas[arena][name] + offset
            addresses[successor] = self._arenas[1 - arena][name] + offset
        return addresses

    def _queue(self, context: Context, where: Where) -> None:
        count = where[0]
        for tensor in self._staged:
            if tensor.is_input:
                host = self._host[tensor.name].ctypes.data
                self._cuda.upload(self._device[tensor.name], host, tensor.row * count)
        context.enqueue(self._cuda.stream)
        for tensor in self._staged:
            if not tensor.is_input:
                host = self._host[tensor.name].ctypes.data
                self._cuda.download(host, self._device[tensor.name], tensor.row * count)

    def _allocate(self, size: int) -> int:
        address = self._cuda.allocate(size)
        self._owned.append(_Freeing(self._cuda.free, address))
        return address

    def _free(self, address: int) -> None:
        entry = next(one for one in self._owned if isinstance(one, _Freeing) and one.address == address)
        self._owned.remove(entry)
        entry()

    def _pinned(self, tensor: Tensor) -> npt.NDArray[np.generic]:
        size = tensor.row * self.batch
        address = self._cuda.allocate_host(size)
        self._owned.append(_Freeing(self._cuda.free_host, address))
        memory = (ctypes.c_byte * size).from_address(address)
        return np.ctypeslib.as_array(memory).view(tensor.dtype).reshape(self.batch, *tensor.shape)


class _Freeing:
    """How an allocation is given back."""

    def __init__(self, free: Callable[[int], None], address: int) -> None:
        self._give_back = free
        self.address = address

    def __call__(self) -> None:
        self._give_back(self.address)


def _release(cuda: Cuda, owned: list[Callable[[], None]]) -> None:
    try:
        cuda.enter()
        cuda.synchronise()
        for free in owned:
            free()
    except AsitEdgeError:
        pass  # the device is gone, and its memory with it


class DeviceWindows:
    """A window model's engine as a `WindowBackend`."""

    def __init__(self, runner: Runner, source: str) -> None:
        """`source` is the name of the engine's input."""
        self._runner = runner
        self._source = source

    def score(self, windows: LogMels) -> Scores:
        parts = [
            self._runner.run({self._source: windows[start : start + self._runner.batch]})["scores"]
            for start in range(0, len(windows), self._runner.batch)
        ]
        return trusted(np.concatenate(parts))


def trusted(scores: npt.NDArray[np.generic]) -> Scores:
    """The scores, if they are probabilities up to rounding. Raises AsitEdgeError if they are not."""
    values = scores.astype(np.float32, copy=False)
    if not np.isfinite(values).all() or values.min() < -1e-3 or values.max() > 1.001:
        raise AsitEdgeError("its scores are not probabilities")
    return np.clip(values, 0.0, 1.0)


def finite(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """The values as float32. Raises AsitEdgeError if one is no number."""
    numbers: npt.NDArray[np.float32] = values.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise AsitEdgeError("its embeddings are not numbers")
    return numbers


class Slot:
    """What a stream has on the device: a place, and the arena in which its states are now."""

    def __init__(self, number: int, free: Callable[[int], None]) -> None:
        self.number = number
        self.arena = 0
        weakref.finalize(self, free, number).atexit = False


class DeviceStream:
    """A streaming model's engine as a `Classifier`; a stream's memory is its slot."""

    def __init__(self, runner: Runner, shape: StreamModel, silent: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """`silent` are the states of a stream that has heard silence so far, by the name of their input."""
        self._runner = runner
        self.chunk, self.steps, self.embedding = shape.frames, shape.steps, shape.embedding
        self._silent = silent
        self._free: list[int] = []

    def open(self) -> Slot:
        return self.resume(self._silent)

    def resume(self, state: Mapping[str, npt.NDArray[np.generic]]) -> Slot:
        """The memory of a stream with these states."""
        if not self._free:
            known = self._runner.slots
            self._runner.reserve(max(2 * known, 4))
            self._free += range(known, self._runner.slots)
        self._free.sort()
        slot = Slot(self._free.pop(0), self._free.append)
        self._runner.write_state(slot.number, slot.arena, state)
        return slot

    def suspend(self, memory: Slot) -> dict[str, npt.NDArray[np.generic]]:
        """A stream's states, for another backend."""
        return self._runner.read_state(memory.number, memory.arena)

    def step(self, chunks: LogMels, memories: Sequence[Slot]) -> Scores:
        """If this raises, every memory is as it was before: what it read is still in the other arena."""
        return self._run(chunks, memories, ("scores",))[0]

    def step_embedded(self, chunks: LogMels, memories: Sequence[Slot]) -> tuple[Scores, Embeddings]:
        """As `step`, with an embedding of each chunk. Raises WrongUse for a model without any."""
        if self.embedding is None:
            raise WrongUse(NO_EMBEDDINGS)
        scores, embedded = self._run(chunks, memories, ("scores", EMBEDDING))
        return scores, embedded

    def _run(self, chunks: LogMels, memories: Sequence[Slot], wanted: Sequence[str]) -> list[npt.NDArray[np.float32]]:
        """Those outputs, in the order of the memories, which are brought up to date."""
        order = sorted(range(len(memories)), key=lambda index: memories[index].number)
        places = [(memories[index].number, memories[index].arena) for index in order]
        parts: list[list[npt.NDArray[np.float32]]] = []
        for run in _runs(places, self._runner.batch):
            first, arena = places[run.start]
            chosen = [order[place] for place in run]
            found = self._runner.run({"log_mel": chunks[chosen]}, first, arena)
            parts.append([trusted(found[one]) if one == "scores" else finite(found[one]) for one in wanted])
        for memory in memories:
            memory.arena = 1 - memory.arena
        return [np.concatenate(some)[np.argsort(order)] for some in zip(*parts, strict=True)]


def _runs(places: Sequence[tuple[int, int]], most: int) -> list[range]:
    """Sorted (slot, arena) to stretches of neighbouring slots in one arena, at most `most` long."""
    bounds = [0]
    for index, (before, after) in enumerate(pairwise(places), start=1):
        if after != (before[0] + 1, before[1]) or index - bounds[-1] == most:
            bounds.append(index)
    return [range(start, end) for start, end in pairwise([*bounds, len(places)])]
