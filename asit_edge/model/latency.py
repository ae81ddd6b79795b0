"""How long a step takes on this device: measured on the real classifier, and remembered for `precision: auto`."""

import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from asit_edge.errors import WrongUse
from asit_edge.host.directories import default_cache
from asit_edge.host.files import read_object, write_whole
from asit_edge.model.bundle import Bundle
from asit_edge.model.classifier import Classifier
from asit_edge.model.front_ends import AnyFrontEnd
from asit_edge.model.variant import Precision

WORTH = 0.95
"""int8 is chosen if its median latency is below this share of fp32's: less than noise is no reason."""


class Latency(BaseModel):
    """Of one step of that many streams, in milliseconds; `realtime` is seconds of audio scored in a second."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch: int
    p50_ms: float
    p95_ms: float
    realtime: float
    runs: int


class Record(BaseModel):
    """What was measured for one bundle with one ONNX Runtime: precision to the median latency, batch 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    p50_ms: dict[Precision, float]


def measure(classifier: Classifier, front_end: AnyFrontEnd, batch: int = 1, seconds: float = 2.0) -> Latency:
    """Steps `batch` streams through noise for that long, after a tenth of it to warm up; at least 20 steps."""
    rng = np.random.default_rng(0)
    chunks = (front_end.silence + 0.3 * rng.random((batch, classifier.chunk, front_end.width))).astype(np.float32)
    memories = [classifier.open() for _ in range(batch)]
    _steps(classifier, chunks, memories, seconds / 10, 5)
    times = np.array(_steps(classifier, chunks, memories, seconds, 20))
    audio = batch * classifier.chunk * front_end.hop / front_end.sample_rate
    low, high = np.quantile(times, (0.5, 0.95))
    return Latency(
        batch=batch,
        p50_ms=round(float(low) * 1e3, 4),
        p95_ms=round(float(high) * 1e3, 4),
        realtime=round(audio / float(times.mean()), 1),
        runs=len(times),
    )


def remember(bundle: Bundle, provider: str, threads: int, medians: dict[Precision, float]) -> None:
    """Keeps measurements for `faster`. Raises AsitEdgeError if they cannot be written."""
    file = _file()
    known = read_object(file)
    known[place(bundle, provider, threads)] = {"p50_ms": medians}
    write_whole(file, json.dumps(known, indent=2).encode())


def faster(bundle: Bundle, provider: str, threads: int) -> bool:
    """Was int8 measured to be faster than fp32, with this bundle, on this machine, with this ONNX Runtime?"""
    try:
        record = Record.model_validate(read_object(_file()).get(place(bundle, provider, threads)))
    except (ValidationError, WrongUse):  # WrongUse: this user has no place for a cache
        return False
    medians = record.p50_ms
    return "int8" in medians and "fp32" in medians and medians["int8"] < WORTH * medians["fp32"]


def _steps(
    classifier: Classifier, chunks: np.ndarray, memories: Sequence[object], seconds: float, least: int
) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        began = time.perf_counter()
        classifier.step(chunks, memories)
        times.append(time.perf_counter() - began)
    return times


def _file() -> Path:
    return default_cache() / "latency.json"


def place(bundle: Bundle, provider: str, threads: int) -> str:
    """Everything that a latency depends on and that can change under a cache: model, ONNX Runtime, processor."""
    import onnxruntime

    files = "+".join(
        bundle.manifest.files[name][:16] for name in sorted(bundle.manifest.files) if name.endswith(".onnx")
    )
    return f"{files} {provider} {threads} threads, onnxruntime {onnxruntime.__version__}, {processor()}"


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
