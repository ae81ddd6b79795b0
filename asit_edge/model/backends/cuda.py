"""The little of CUDA that a listener needs, through ctypes on the driver's library (`libcuda.so.1`).

The driver's library is on every machine that has a working NVIDIA GPU, under one name and with stable symbols, which
the runtime library (`libcudart`, a version in its name) is not. TensorRT shares the device's primary context.
"""

import ctypes
import re
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from asit_edge.errors import AsitEdgeError
from asit_edge.model.backends.engine import Gpu

LIBRARY = "libcuda.so.1"

RELEASES = (Path("/etc/nv_tegra_release"), Path("/sys/module/nvidia/version"))
"""Where the system tells the driver's release: L4T's on a Jetson, that of the kernel module elsewhere."""

_MULTIPROCESSORS = 16  # CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING
_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: another thread's allocations do not break a capture
_PORTABLE = 1  # CU_MEMHOSTALLOC_PORTABLE


class NoGpu(AsitEdgeError):
    """There is no NVIDIA GPU that can be used, and why."""


class Cuda(Protocol):
    """Device memory, pinned host memory, one stream, graphs. Addresses are integers; errors are AsitEdgeError."""

    gpu: Gpu
    stream: int

    def enter(self) -> None:
        """Makes the device current in the calling thread; needed once a call from any thread."""
        ...

    def allocate(self, size: int) -> int:
        """Device memory, zeroed."""
        ...

    def free(self, address: int) -> None: ...

    def allocate_host(self, size: int) -> int:
        """Pinned host memory."""
        ...

    def free_host(self, address: int) -> None: ...

    def upload(self, device: int, host: int, size: int) -> None:
        """Queues a copy."""
        ...

    def download(self, host: int, device: int, size: int) -> None:
        """Queues a copy."""
        ...

    def copy(self, target: int, source: int, size: int) -> None:
        """Queues a copy within the device."""
        ...

    def synchronise(self) -> None:
        """Waits until the stream is idle; raises what went wrong in it."""
        ...

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Records what `work` queues, without running it; calling the result queues all of it at once."""
        ...

    def free_memory(self) -> int:
        """Bytes of device memory that are free."""
        ...


class DriverCuda:
    """`Cuda` on the first GPU."""

    def __init__(self) -> None:
        """Raises NoGpu, saying what is missing, if there is no usable GPU."""
        try:
            self._library = ctypes.CDLL(LIBRARY)
        except OSError:
            raise NoGpu(
                f"no NVIDIA driver ({LIBRARY} is not there); TensorRT needs an NVIDIA GPU: on a Jetson install "
                "JetPack, elsewhere the NVIDIA driver"
            ) from None
        device = ctypes.c_int()
        try:
            self._call("cuInit", ctypes.c_uint(0))
            self._call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(0))
        except AsitEdgeError as error:
            raise NoGpu(
                f"the NVIDIA driver is there and gives no GPU ({error}); may this user open its device files (groups "
                "video and render), and does `sudo dmesg` tell of it?"
            ) from None
        self.gpu = self._describe(device)
        self._context = ctypes.c_void_p()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), device)
        self.enter()
        stream = ctypes.c_void_p()
        self._call("cuStreamCreate", ctypes.byref(stream), ctypes.c_uint(_NON_BLOCKING))
        self.stream = int(stream.value or 0)

    def enter(self) -> None:
        self._call("cuCtxSetCurrent", self._context)

    def allocate(self, size: int) -> int:
        address = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        self._call("cuMemsetD8Async", address, ctypes.c_ubyte(0), ctypes.c_size_t(size), ctypes.c_void_p(self.stream))
        return int(address.value)

    def free(self, address: int) -> None:
        self._call("cuMemFree_v2", ctypes.c_uint64(address))

    def allocate_host(self, size: int) -> int:
        address = ctypes.c_void_p()
        self._call("cuMemHostAlloc", ctypes.byref(address), ctypes.c_size_t(size), ctypes.c_uint(_PORTABLE))
        return int(address.value or 0)

    def free_host(self, address: int) -> None:
        self._call("cuMemFreeHost", ctypes.c_void_p(address))

    def upload(self, device: int, host: int, size: int) -> None:
        self._queue_copy("cuMemcpyHtoDAsync_v2", ctypes.c_uint64(device), ctypes.c_void_p(host), size)

    def download(self, host: int, device: int, size: int) -> None:
        self._queue_copy("cuMemcpyDtoHAsync_v2", ctypes.c_void_p(host), ctypes.c_uint64(device), size)

    def copy(self, target: int, source: int, size: int) -> None:
        self._queue_copy("cuMemcpyDtoDAsync_v2", ctypes.c_uint64(target), ctypes.c_uint64(source), size)

    def synchronise(self) -> None:
        self._call("cuStreamSynchronize", ctypes.c_void_p(self.stream))

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuStreamBeginCapture_v2", ctypes.c_void_p(self.stream), ctypes.c_int(_THREAD_LOCAL))
        try:
            work()
        except BaseException:
            # What went wrong first is what is told; this only brings the stream out of the capture.
            self._library.cuStreamEndCapture(ctypes.c_void_p(self.stream), ctypes.byref(graph))
            self._library.cuGraphDestroy(graph)
            raise
        self._call("cuStreamEndCapture", ctypes.c_void_p(self.stream), ctypes.byref(graph))
        try:
            self._call("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, ctypes.c_ulonglong(0))
        finally:
            self._library.cuGraphDestroy(graph)

        def launch() -> None:
            self._call("cuGraphLaunch", executable, ctypes.c_void_p(self.stream))

        weakref.finalize(launch, self._library.cuGraphExecDestroy, executable).atexit = False
        return launch

    def free_memory(self) -> int:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return int(free.value)

    def _queue_copy(self, name: str, target: Any, source: Any, size: int) -> None:
        self._call(name, target, source, ctypes.c_size_t(size), ctypes.c_void_p(self.stream))

    def _describe(self, device: ctypes.c_int) -> Gpu:
        name = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", name, ctypes.c_int(len(name)), device)
        memory, version = ctypes.c_size_t(), ctypes.c_int()
        self._call("cuDeviceTotalMem_v2", ctypes.byref(memory), device)
        self._call("cuDriverGetVersion", ctypes.byref(version))
        speaks = f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
        return Gpu(
            name=name.value.decode(errors="replace"),
            compute_capability=f"{self._attribute(device, _MAJOR)}.{self._attribute(device, _MINOR)}",
            multiprocessors=self._attribute(device, _MULTIPROCESSORS),
            memory_gb=round(memory.value / 1e9),
            driver=f"{speaks}, {release}" if (release := driver_release()) else speaks,
        )

    def _attribute(self, device: ctypes.c_int, number: int) -> int:
        value = ctypes.c_int()
        self._call("cuDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(number), device)
        return value.value

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, name, None)
        if function is None:
            raise AsitEdgeError(f"CUDA: the NVIDIA driver is too old, it has no {name}")
        code = function(*arguments)
        if code:
            text = ctypes.c_char_p()
            self._library.cuGetErrorString(ctypes.c_int(code), ctypes.byref(text))
            raise AsitEdgeError(f"CUDA: {name} failed: {(text.value or b'unknown error').decode()} ({code})")


def driver_release(files: Sequence[Path] = RELEASES) -> str:
    """What the system says of the driver's release; empty where it says nothing."""
    for file in files:
        try:
            first = file.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
        except OSError:
            continue
        told = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", first)
        return f"L4T {told[1]}.{told[2]}" if told else first.strip()[:40]
    return ""
