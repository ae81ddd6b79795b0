"""ONNX Runtime sessions: small, quiet, on the processor that was asked for."""

from pathlib import Path
from typing import Literal

import onnxruntime

from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from asit_edge.model.bundle import MODEL

Provider = Literal["cpu", "openvino", "cuda"]

onnxruntime.disable_telemetry_events()  # for a program that had loaded it before us; see asit_edge.host.telemetry

_NAMES = {"cpu": "CPUExecutionProvider", "openvino": "OpenVINOExecutionProvider", "cuda": "CUDAExecutionProvider"}
_PACKAGES = {"cpu": "onnxruntime", "openvino": "onnxruntime-openvino", "cuda": "onnxruntime-gpu"}


def providers_here() -> list[Provider]:
    """What the installed ONNX Runtime was built for; that a device is there too is only known once a session opens."""
    available = onnxruntime.get_available_providers()
    return [key for key in ("cpu", "openvino", "cuda") if _NAMES[key] in available]


def open_session(file: Path, threads: int = 1, provider: Provider = "cpu") -> onnxruntime.InferenceSession:
    """A session for a listener that shares its machine: no spinning, no memory arena.

    Raises WrongUse if this ONNX Runtime has no such provider, AsitEdgeError if the model does not load on it.
    """
    if provider not in providers_here():
        raise WrongUse(
            f"provider {provider!r}: the installed ONNX Runtime has {', '.join(providers_here())}; "
            f"{_PACKAGES[provider]} would bring it (in place of onnxruntime)"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if file.name == MODEL:
        # Weights of 8 bits in a float32 model are only stored so: widened once, not a product of its own kind.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    wanted = [_NAMES[provider]] if provider == "cpu" else [_NAMES[provider], _NAMES["cpu"]]
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=wanted)
    except Exception as error:  # ONNX Runtime raises a dozen types without a common base of its own
        raise AsitEdgeError(f"{file}: ONNX Runtime cannot load it ({one_line(error)})") from None
    if session.get_providers()[0] != _NAMES[provider]:
        raise AsitEdgeError(f"provider {provider!r}: ONNX Runtime has it, but it does not start on this machine")
    return session
