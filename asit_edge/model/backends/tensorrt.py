"""The narrow door to TensorRT, 10.3 (JetPack 6) to 11: build a plan from ONNX, load one, queue a run. Nothing else.

Networks are strongly typed: the precision is in the ONNX file, and no builder flag changes it (11 has none left).
The same calls work on TensorRT-RTX, which builds without a GPU and so checks models and calls anywhere.
Variables that hold TensorRT's objects are annotated with their class; `export.trt --check` reads the annotations and
holds every call against the installed version.
"""

import importlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from asit_edge.errors import AsitEdgeError, one_line
from asit_edge.host.files import write_whole
from asit_edge.model.backends.engine import Options
from asit_edge.model.backends.weights import settle_weights

if TYPE_CHECKING:
    from types import ModuleType

    import tensorrt as trt

log = logging.getLogger(__name__)

OLDEST = (10, 3)

INSTALL = (
    "TensorRT is not installed for this Python. On a Jetson it comes with JetPack: sudo apt install nvidia-jetpack "
    "python3-libnvinfer, and an environment made with python3 -m venv --system-site-packages. Elsewhere: "
    "pip install 'asit-edge[trt]' beside an NVIDIA driver"
)

DYNAMIC_INT8 = frozenset({"DynamicQuantizeLinear", "MatMulInteger", "ConvInteger"})
"""What ONNX Runtime's dynamic quantisation puts into a graph."""

Progress = Callable[[str, int, int], None]
"""Called with a phase of the build, the step it is at and the number of its steps."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of an engine; `shape` without the batch."""

    name: str
    shape: tuple[int, ...]
    dtype: npt.DTypeLike
    is_input: bool

    @property
    def row(self) -> int:
        """Bytes of one stream's share."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


class Context(Protocol):
    """One way of running an engine: its shapes and addresses stay as they were set last."""

    def prepare(self, batch: int, addresses: Mapping[str, int]) -> None:
        """Sets shapes and device addresses, one for each tensor. Raises AsitEdgeError if they are refused."""
        ...

    def enqueue(self, stream: int) -> None:
        """Queues a run as prepared. Raises AsitEdgeError if it is refused."""
        ...


class Engine(Protocol):
    """A loaded plan."""

    @property
    def tensors(self) -> list[Tensor]: ...

    @property
    def memory(self) -> int:
        """Bytes of device memory that a context needs beside the weights."""
        ...

    def context(self) -> Context: ...


class TensorRT(Protocol):
    """A version of TensorRT."""

    @property
    def version(self) -> str: ...

    def build(self, onnx: Path, options: Options, timing: Path | None, progress: Progress | None) -> bytes:
        """The plan of a model. `timing` is a file of kernel timings to use and to add to. Raises AsitEdgeError."""
        ...

    def load(self, plan: bytes) -> Engine:
        """Only for a plan that was vouched for. Raises AsitEdgeError."""
        ...


def installed(name: str = "tensorrt") -> "InstalledTensorRT":
    """The TensorRT of this Python. Raises AsitEdgeError, saying how to install it, if there is none."""
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        reason = "" if getattr(error, "name", None) == name else f" ({one_line(error)[:160]})"
        raise AsitEdgeError(f"{INSTALL}{reason}") from None
    return InstalledTensorRT(module)


class InstalledTensorRT:
    """`TensorRT` on the real module."""

    def __init__(self, module: "ModuleType") -> None:
        self.module: Any = module
        self.version = str(module.__version__)
        numbers = tuple(int(part) for part in self.version.split(".")[:2])
        if module.__name__ == "tensorrt" and numbers < OLDEST:
            raise AsitEdgeError(f"TensorRT {self.version} is too old; 10.3 (JetPack 6.1) or later is needed")
        self._logger = _logger(module)

    def build(self, onnx: Path, options: Options, timing: Path | None, progress: Progress | None) -> bytes:
        api = self.module
        try:
            builder: trt.Builder = api.Builder(self._logger)
        except TypeError:  # pybind11's words for a factory that returned nothing
            raise AsitEdgeError(f"TensorRT {self.version} finds no usable GPU; is the NVIDIA driver working?") from None
        network: trt.INetworkDefinition = builder.create_network(
            1 << int(api.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        )
        parser: trt.OnnxParser = api.OnnxParser(network, self._logger)
        if not parser.parse_from_file(str(onnx)):
            raise AsitEdgeError(f"{onnx}: TensorRT {self.version} cannot read it: {_parser_errors(api, parser)}")
        weights = settle_weights(api, network, onnx, options.precision)
        config: trt.IBuilderConfig = builder.create_builder_config()
        config.set_memory_pool_limit(api.MemoryPoolType.WORKSPACE, options.workspace_mb << 20)
        if options.precision == "fp32":
            config.clear_flag(api.BuilderFlag.TF32)  # fp32 is the reference; TF32 would be as coarse as fp16
        profile: trt.IOptimizationProfile = builder.create_optimization_profile()
        dynamic = False
        for index in range(network.num_inputs):
            entry: trt.ITensor = network.get_input(index)
            shape = tuple(entry.shape)
            if shape and shape[0] == -1:
                low, best, high = ((batch, *shape[1:]) for batch in (1, options.best_batch, options.batch))
                profile.set_shape(entry.name, low, best, high)
                dynamic = True
            elif options.batch > max(shape[0] if shape else 1, 1):
                raise AsitEdgeError(
                    f"{onnx}: its batch is fixed at {shape[0]}, so it cannot be built for {options.batch}"
                )
        if dynamic and config.add_optimization_profile(profile) < 0:
            raise AsitEdgeError(f"{onnx}: TensorRT {self.version} refuses batches of 1 to {options.batch}")
        cache = self._timing(config, timing)
        if progress is not None:
            config.progress_monitor = _monitor(api, progress)
        plan: trt.IHostMemory = builder.build_serialized_network(network, config)
        del weights  # TensorRT does not copy them
        if plan is None:
            raise AsitEdgeError(
                f"{onnx}: TensorRT {self.version} cannot build it: {self._logger.last or 'no reason given'}"
            )
        if timing is not None and cache is not None:
            timings: trt.ITimingCache = cache
            serialised: trt.IHostMemory = timings.serialize()
            write_whole(timing, bytes(serialised))
        return bytes(plan)

    def load(self, plan: bytes) -> "LoadedEngine":
        api = self.module
        try:
            runtime: trt.Runtime = api.Runtime(self._logger)
        except TypeError:
            raise AsitEdgeError(f"TensorRT {self.version} finds no usable GPU; is the NVIDIA driver working?") from None
        engine: trt.ICudaEngine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise AsitEdgeError(
                f"TensorRT {self.version} does not load the engine: {self._logger.last or 'no reason given'}"
            )
        return LoadedEngine(api, runtime, engine)

    def _timing(self, config: Any, file: Path | None) -> Any:
        """The timing cache in use: that of the file if it fits this device, else an empty one."""
        if file is None:
            return None
        settings: trt.IBuilderConfig = config
        known = file.read_bytes() if file.is_file() else b""
        for content in (known, b""):
            cache: trt.ITimingCache = settings.create_timing_cache(content)
            if cache is not None and settings.set_timing_cache(cache, ignore_mismatch=False):
                return cache
        return None


class LoadedEngine:
    """`Engine` on the real module."""

    def __init__(self, module: Any, runtime: Any, engine: Any) -> None:
        self._runtime = runtime  # must outlive the engine
        self._engine = engine
        self.tensors = list(self._tensors(module, engine))
        loaded: trt.ICudaEngine = engine
        self.memory = int(loaded.device_memory_size_v2)

    def _tensors(self, api: Any, loaded: Any) -> Any:
        engine: trt.ICudaEngine = loaded
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            yield Tensor(
                name,
                tuple(engine.get_tensor_shape(name))[1:],
                api.nptype(engine.get_tensor_dtype(name)),
                engine.get_tensor_mode(name) == api.TensorIOMode.INPUT,
            )

    def context(self) -> "LoadedContext":
        engine: trt.ICudaEngine = self._engine
        context: trt.IExecutionContext = engine.create_execution_context()
        if context is None:
            raise AsitEdgeError("TensorRT gives no execution context; is the GPU's memory full?")
        return LoadedContext(context, self.tensors)


class LoadedContext:
    """`Context` on the real module."""

    def __init__(self, context: Any, tensors: list[Tensor]) -> None:
        self._context = context
        self._tensors = tensors

    def prepare(self, batch: int, addresses: Mapping[str, int]) -> None:
        context: trt.IExecutionContext = self._context
        for tensor in self._tensors:
            if tensor.is_input and not context.set_input_shape(tensor.name, (batch, *tensor.shape)):
                raise AsitEdgeError(f"TensorRT refuses a batch of {batch} for {tensor.name}")
            if not context.set_tensor_address(tensor.name, addresses[tensor.name]):
                raise AsitEdgeError(f"TensorRT refuses the address of {tensor.name}")

    def enqueue(self, stream: int) -> None:
        context: trt.IExecutionContext = self._context
        if not context.execute_async_v3(stream):
            raise AsitEdgeError("TensorRT did not run the engine")


def _parser_errors(api: Any, failed: Any) -> str:
    parser: trt.OnnxParser = failed
    operators: dict[str, None] = {}
    texts: dict[str, None] = {}
    for index in range(parser.num_errors):
        error: trt.ParserError = parser.get_error(index)
        operators[str(error.node_operator())] = None
        texts[one_line(error.desc())] = None
    if dynamic := [name for name in operators if name in DYNAMIC_INT8]:
        return (
            f"it is quantised dynamically ({', '.join(dynamic)} are ONNX Runtime's), which TensorRT does not know; "
            "python -m export.variants quantises with static Q/DQ instead"
        )
    return f"operators {', '.join(operators)}: {'; '.join(texts)}"[:400] if texts else "no reason given"


def _logger(module: Any) -> Any:
    """TensorRT's messages in our log; `last` is its latest error."""
    api = module

    class Logger(api.ILogger):  # type: ignore[misc, name-defined]
        last = ""

        def __init__(self) -> None:
            api.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (api.ILogger.Severity.ERROR, api.ILogger.Severity.INTERNAL_ERROR):
                self.last = one_line(message)[:400]
                log.debug("TensorRT: %s", self.last)
            elif severity == api.ILogger.Severity.WARNING:
                log.debug("TensorRT: %s", one_line(message))

    return Logger()


def _monitor(module: Any, progress: Progress) -> Any:
    api = module

    class Monitor(api.IProgressMonitor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            api.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps
            progress(phase_name, 0, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            progress(phase_name, step + 1, self._steps.get(phase_name, 0))
            return True

        def phase_finish(self, phase_name: str) -> None:
            steps = self._steps.pop(phase_name, 0)
            progress(phase_name, steps, steps)

    return Monitor()
