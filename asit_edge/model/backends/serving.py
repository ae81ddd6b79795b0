"""What runs a bundle's model at the moment: it may change while a listener listens."""

from collections.abc import Callable
from typing import NamedTuple

from asit_edge.config.root import Config
from asit_edge.model.backends.choice import engine_precision, onnx_precision
from asit_edge.model.backends.fallback import SwitchedStream, SwitchedWindows
from asit_edge.model.backends.shapes import Backend
from asit_edge.model.bundle import Bundle
from asit_edge.model.variant import Precision


class Serving(NamedTuple):
    """`provider` is what ONNX Runtime computes on; TensorRT always computes on the GPU, `cuda`."""

    backend: str
    precision: Precision
    provider: str


def serving(backend: Backend, bundle: Bundle, config: Config) -> Callable[[], Serving]:
    """Asks `backend`, which `open_backend` has opened for this bundle and configuration. Cheap, and for any thread."""
    on_cpu = Serving("onnxruntime", _precision(onnx_precision, bundle, config), config.provider)
    if not isinstance(backend, SwitchedStream | SwitchedWindows):
        return lambda: on_cpu
    engine = Serving("tensorrt", _precision(engine_precision, bundle, config), "cuda")
    return lambda: engine if backend.on_engine else on_cpu


def _precision(choose: Callable[[Bundle, Config], Precision], bundle: Bundle, config: Config) -> Precision:
    """As it was chosen when the backend was opened; what there was to warn of has been said then."""
    return choose(bundle, config) if config.precision == "auto" else config.precision
