"""A GPU and a TensorRT that are not there, behind the two narrow doors (`Cuda`, `TensorRT`): the only fakes.

They are strict where the real parts are deadly: memory outside an allocation, a plan that is not this version's, work
that is read before anyone waited for it. Computing is ONNX Runtime's, so results are real ones.
"""

import ctypes
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from asit_edge.errors import AsitEdgeError
from asit_edge.model.backends.engine import Gpu, Options
from asit_edge.model.backends.tensorrt import Progress, Tensor

ORIN = Gpu(name="Orin", compute_capability="8.7", multiprocessors=8, memory_gb=8, driver="CUDA 12.6, L4T 36.4.0")


class Crash(BaseException):
    """What would have ended the process. Nothing catches it."""


class HostCuda:
    """`Cuda` in host memory. Queued work is done when somebody waits, not before."""

    stream = 1

    def __init__(self, gpu: Gpu = ORIN) -> None:
        self.gpu = gpu
        self.blocks: dict[int, ctypes.Array[ctypes.c_char]] = {}
        self.captured = 0
        self.launched = 0
        self.uploaded = 0
        self.downloaded = 0
        self.broken = ""
        self.failing: set[str] = set()
        self.sizes: dict[int, int] = {}
        self._queue: list[Callable[[], None]] = []
        self._recording: list[Callable[[], None]] | None = None

    def enter(self) -> None:
        pass

    def fail(self, name: str) -> None:
        if name in self.failing:
            raise AsitEdgeError(f"CUDA: {name} failed: out of memory (2)")

    def allocate(self, size: int) -> int:
        self.fail("allocate")
        block = ctypes.create_string_buffer(size + 512)
        address = -(-ctypes.addressof(block) // 256) * 256
        ctypes.memset(address, 0xFF, size)  # NaN in every float, so that unwritten memory is noticed
        self.blocks[address] = block
        self.sizes[address] = size
        return address

    def allocate_host(self, size: int) -> int:
        self.fail("allocate_host")
        return self.allocate(size)

    def free(self, address: int) -> None:
        if address not in self.blocks:
            raise Crash(f"free of {address}, which is not allocated")
        del self.blocks[address]
        del self.sizes[address]

    free_host = free

    def upload(self, device: int, host: int, size: int) -> None:
        self.fail("upload")
        self.check(device, size)
        self.queue(lambda: self._upload(device, host, size))

    def download(self, host: int, device: int, size: int) -> None:
        self.fail("download")
        self.check(device, size)
        self.queue(lambda: self._download(host, device, size))

    def _upload(self, device: int, host: int, size: int) -> None:
        self.uploaded += size
        ctypes.memmove(device, host, size)

    def _download(self, host: int, device: int, size: int) -> None:
        self.downloaded += size
        ctypes.memmove(host, device, size)

    def copy(self, target: int, source: int, size: int) -> None:
        self.check(target, size)
        self.check(source, size)
        self.queue(lambda: ctypes.memmove(target, source, size))

    def synchronise(self) -> None:
        work, self._queue = self._queue, []
        self.fail("synchronise")
        if self.broken:
            raise AsitEdgeError(f"CUDA: cuStreamSynchronize failed: {self.broken}")
        for one in work:
            one()

    @property
    def capturing(self) -> bool:
        return self._recording is not None

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        if self._queue:
            raise Crash("capture began with work still queued")
        self.fail("begin capture")
        self._recording = []
        try:
            work()
        finally:
            recorded, self._recording = self._recording, None
        self.fail("end capture")
        self.captured += 1

        def launch() -> None:
            self.fail("launch")
            self.launched += 1
            self._queue.extend(recorded)

        return launch

    def free_memory(self) -> int:
        return 8_000_000_000 - sum(self.sizes.values())

    def queue(self, work: Callable[[], object]) -> None:
        (self._queue if self._recording is None else self._recording).append(lambda: void(work()))

    def check(self, address: int, size: int) -> None:
        if not any(start <= address and address + size <= start + length for start, length in self.sizes.items()):
            raise Crash(f"{size} bytes at {address} are outside of every allocation")


def void(_: object) -> None:
    pass


class FakeTensorRT:
    """`TensorRT` whose plans are the ONNX file behind a header; any other bytes crash it, as they may the real one."""

    def __init__(self, cuda: HostCuda, version: str = "10.3.0") -> None:
        self.version = version
        self.cuda = cuda
        self.built = 0
        self.loaded = 0
        self.spoil: Callable[[np.ndarray], np.ndarray] = lambda scores: scores

    def build(self, onnx: Path, options: Options, timing: Path | None, progress: Progress | None) -> bytes:
        self.built += 1
        if progress is not None:
            progress("Building engine", 1, 1)
        return self._header() + bytes([options.batch]) + onnx.read_bytes()

    def load(self, plan: bytes) -> "FakeEngine":
        header = self._header()
        if not plan.startswith(header):
            raise Crash("this plan would have ended the process")
        self.loaded += 1
        return FakeEngine(self, plan[len(header) + 1 :], plan[len(header)])

    def _header(self) -> bytes:
        return f"plan of {self.version} for {self.cuda.gpu.name};".encode()


class FakeEngine:
    memory = 1000

    def __init__(self, owner: FakeTensorRT, model: bytes, batch: int) -> None:
        self.owner = owner
        self.batch = batch
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        entries = [(entry, True) for entry in self.session.get_inputs()]
        entries += [(entry, False) for entry in self.session.get_outputs()]
        self.tensors = [Tensor(entry.name, tuple(entry.shape[1:]), np.float32, inward) for entry, inward in entries]

    def context(self) -> "FakeContext":
        return FakeContext(self)


class FakeContext:
    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine

    def prepare(self, batch: int, addresses: Mapping[str, int]) -> None:
        engine, cuda = self.engine, self.engine.owner.cuda
        if cuda.capturing:
            raise Crash("shapes and addresses were set while a graph was captured")
        if not 1 <= batch <= engine.batch:
            raise AsitEdgeError(f"TensorRT refuses a batch of {batch}")
        arrays = {}
        for tensor in engine.tensors:
            address, size = addresses[tensor.name], tensor.row * batch
            if address % 256:
                raise Crash(f"{tensor.name} is not aligned")
            cuda.check(address, size)
            memory = (ctypes.c_float * (size // 4)).from_address(address)
            arrays[tensor.name] = np.ctypeslib.as_array(memory).reshape(batch, *tensor.shape)
        self.arrays = arrays

    def enqueue(self, stream: int) -> None:
        engine, cuda, arrays = self.engine, self.engine.owner.cuda, self.arrays
        if stream != cuda.stream:
            raise Crash("another stream")

        def compute() -> None:
            feed = {tensor.name: arrays[tensor.name].copy() for tensor in engine.tensors if tensor.is_input}
            outputs = [tensor.name for tensor in engine.tensors if not tensor.is_input]
            for name, values in zip(outputs, engine.session.run(outputs, feed), strict=True):
                arrays[name][:] = engine.owner.spoil(values) if name == "scores" else values

        cuda.queue(compute)
