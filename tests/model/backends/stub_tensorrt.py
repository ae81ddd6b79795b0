"""TensorRT's module as far as `InstalledTensorRT` uses it, on ONNX Runtime: the whole path runs, and any call can fail.

Calls fail as the real ones do: a factory that returns nothing is a TypeError of pybind11's, other calls return None or
False. That our calls have the right names and arguments is `tests/export/test_bindings.py`'s to say.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

from asit_edge.model.backends.tensorrt import Tensor
from tests.model.backends.fake_gpu import FakeContext, FakeEngine, FakeTensorRT, HostCuda


class StubTensorRT:
    """A module `tensorrt`, version 10.3.0 unless told otherwise. `failing` names the calls that fail."""

    __name__ = "tensorrt"
    __version__ = "10.3.0"

    def __init__(self, cuda: HostCuda) -> None:
        self.cuda = cuda
        self.failing: set[str] = set()
        self.calls: list[str] = []
        self.spoil: Callable[[np.ndarray], np.ndarray] = lambda scores: scores
        self.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
        self.MemoryPoolType = SimpleNamespace(WORKSPACE=0)
        self.BuilderFlag = SimpleNamespace(TF32=0)
        self.TensorIOMode = SimpleNamespace(INPUT="in", OUTPUT="out")
        self.LayerType = SimpleNamespace(DEQUANTIZE="dq", CONSTANT="c", MATRIX_MULTIPLY="m", CONVOLUTION="v")
        self.ILogger = _Logger
        self.IProgressMonitor = object

    def fails(self, name: str) -> bool:
        self.calls.append(name)
        return name in self.failing

    def nptype(self, dtype: Any) -> Any:
        return dtype

    def Builder(self, logger: Any) -> "_Builder":
        if self.fails("Builder"):
            raise TypeError("pybind11::init(): factory function returned nullptr")
        return _Builder(self, logger)

    def OnnxParser(self, network: "_Network", logger: Any) -> "_Parser":
        return _Parser(self, network)

    def Runtime(self, logger: Any) -> "_Runtime":
        if self.fails("Runtime"):
            raise TypeError("pybind11::init(): factory function returned nullptr")
        return _Runtime(self, logger)


class _Logger:
    Severity = SimpleNamespace(ERROR=1, INTERNAL_ERROR=0, WARNING=2)

    def __init__(self) -> None:
        pass


class _Network:
    num_layers = 0

    def __init__(self) -> None:
        self.model = b""
        self.inputs: list[Any] = []

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    def get_input(self, index: int) -> Any:
        return self.inputs[index]


class _Parser:
    num_errors = 0

    def __init__(self, module: StubTensorRT, network: _Network) -> None:
        self._module, self._network = module, network

    def parse_from_file(self, file: str) -> bool:
        if self._module.fails("parse_from_file"):
            return False
        self._network.model = Path(file).read_bytes()
        session = onnxruntime.InferenceSession(self._network.model, providers=["CPUExecutionProvider"])
        self._network.inputs = [
            SimpleNamespace(name=entry.name, shape=(-1, *entry.shape[1:])) for entry in session.get_inputs()
        ]
        return True


class _Builder:
    def __init__(self, module: StubTensorRT, logger: Any) -> None:
        self._module, self._logger = module, logger

    def create_network(self, flags: int) -> _Network:
        assert flags == 1 << 1
        return _Network()

    def create_builder_config(self) -> Any:
        return SimpleNamespace(
            set_memory_pool_limit=lambda pool, size: None,
            clear_flag=lambda flag: None,
            add_optimization_profile=lambda profile: -1 if self._module.fails("add_optimization_profile") else 0,
            create_timing_cache=lambda content: None,
        )

    def create_optimization_profile(self) -> Any:
        self.most = 1

        def set_shape(name: str, low: Any, best: Any, high: Any) -> None:
            self.most = high[0]

        return SimpleNamespace(set_shape=set_shape)

    def build_serialized_network(self, network: _Network, config: Any) -> bytes | None:
        if self._module.fails("build_serialized_network"):
            self._logger.log(_Logger.Severity.ERROR, "Error Code 2: OutOfMemory (requested 9 bytes)")
            return None
        return bytes([self.most]) + network.model


class _Runtime:
    def __init__(self, module: StubTensorRT, logger: Any) -> None:
        self._module, self._logger = module, logger

    def deserialize_cuda_engine(self, plan: bytes) -> "_Engine | None":
        if self._module.fails("deserialize_cuda_engine"):
            self._logger.log(_Logger.Severity.ERROR, "Error Code 1: Serialization")
            return None
        return _Engine(self._module, plan)


class _Engine:
    device_memory_size_v2 = 1000

    def __init__(self, module: StubTensorRT, plan: bytes) -> None:
        self.module = module
        owner = FakeTensorRT(module.cuda)
        owner.spoil = lambda scores: module.spoil(scores)
        self.fake = FakeEngine(owner, plan[1:], plan[0])
        self._tensors: Mapping[str, Tensor] = {tensor.name: tensor for tensor in self.fake.tensors}

    @property
    def num_io_tensors(self) -> int:
        return len(self._tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, *self._tensors[name].shape)

    def get_tensor_dtype(self, name: str) -> Any:
        return np.float32

    def get_tensor_mode(self, name: str) -> str:
        return "in" if self._tensors[name].is_input else "out"

    def create_execution_context(self) -> "_Context | None":
        return None if self.module.fails("create_execution_context") else _Context(self)


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self._engine = engine
        self._fake = FakeContext(engine.fake)
        self._batch = 0
        self._addresses: dict[str, int] = {}
        self._prepared = False

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._batch, self._prepared = shape[0], False
        return not self._engine.module.fails("set_input_shape")

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name], self._prepared = address, False
        return not self._engine.module.fails("set_tensor_address")

    def execute_async_v3(self, stream: int) -> bool:
        if self._engine.module.fails("execute_async_v3"):
            return False
        if not self._prepared:
            self._fake.prepare(self._batch, self._addresses)
            self._prepared = True
        self._fake.enqueue(stream)
        return True
