"""`backend: auto` compares: every way of running the model is timed once on this device, and the fastest serves.

The measurements are kept with what they depend on, so that a start finds them. Timed are steps of as many streams as
there are sources, by the classifier that would serve.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from asit_edge.host.directories import default_cache
from asit_edge.host.files import read_object, write_whole
from asit_edge.model.backends.engine import Key
from asit_edge.model.backends.session import Provider, providers_here
from asit_edge.model.backends.shapes import Backend, as_classifier, open_onnx
from asit_edge.model.bundle import Bundle
from asit_edge.model.classifier import Classifier
from asit_edge.model.latency import WORTH, Latency, measure, place
from asit_edge.model.variant import Precision

log = logging.getLogger(__name__)

SECONDS = 1.0
"""How long each way is timed."""

Measure = Callable[[Classifier, Bundle, int], Latency]


def timed(classifier: Classifier, bundle: Bundle, batch: int) -> Latency:
    return measure(classifier, bundle.manifest.front_end, batch, SECONDS)


class Time(BaseModel):
    """Of one way: the median of a step, or why it could not be timed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: str
    precision: Precision
    p50_ms: float | None
    problem: str = ""

    @property
    def name(self) -> str:
        return f"{self.backend} {self.precision}"


@dataclass(frozen=True)
class Way:
    """A way of running the model that may serve."""

    backend: str
    precision: Precision
    open: Callable[[], Backend]

    @property
    def name(self) -> str:
        return f"{self.backend} {self.precision}"


def onnx_ways(bundle: Bundle, config: Config) -> Iterator[Way]:
    """ONNX Runtime as configured in each precision that may serve unasked, and on CUDA where it has that."""
    int8 = bundle.variants.get("int8")
    precisions: list[Precision] = ["fp32", "int8"] if int8 is not None and int8.gate.passed else ["fp32"]
    if config.precision != "auto":
        precisions = [config.precision]
    for precision in precisions:
        yield _way(bundle, config, precision, config.provider)
    if "cuda" in providers_here() and config.provider == "cpu":
        yield _way(bundle, config, precisions[0], "cuda")


def _way(bundle: Bundle, config: Config, precision: Precision, provider: Provider) -> Way:
    def opened() -> Backend:
        return open_onnx(bundle.at(precision), config.threads, provider)

    return Way(f"onnxruntime {provider}", precision, opened)


def time_all(ways: Sequence[Way], bundle: Bundle, batch: int, how: Measure = timed) -> list[Time]:
    """Each way's time; a way that cannot be opened is no reason not to time the others."""
    times = []
    for way in ways:
        try:
            median = how(as_classifier(bundle.at(way.precision), way.open()), bundle, batch).p50_ms
            times.append(Time(backend=way.backend, precision=way.precision, p50_ms=median))
        except Exception as error:  # TensorRT and ONNX Runtime raise anything
            problem = one_line(error)[:200]
            times.append(Time(backend=way.backend, precision=way.precision, p50_ms=None, problem=problem))
    return times


def winner(times: Sequence[Time], serving: str) -> tuple[Time | None, str]:
    """The fastest way, and why; the one that serves already, by name, is only left for what is clearly faster."""
    known = {time.name: time for time in times if time.p50_ms is not None}
    told = ", ".join(f"{name} {time.p50_ms:.3g} ms" for name, time in known.items())
    failed = "; ".join(f"{time.name}: {time.problem}" for time in times if time.p50_ms is None)
    why = f"timed here, a step: {told or 'nothing'}" + (f" ({failed})" if failed else "")
    fastest = min(known.values(), key=lambda time: time.p50_ms or 0.0, default=None)
    present = known.get(serving)
    if fastest is None or (present is not None and (fastest.p50_ms or 0) >= WORTH * (present.p50_ms or 0)):
        fastest = present
    return fastest, why


class Times:
    """The measurements of one bundle on this device, with these parts and so many streams, on disk."""

    def __init__(self, bundle: Bundle, config: Config, batch: int, key: Key | None) -> None:
        depends = [place(bundle, config.provider, config.threads), str(batch), ",".join(providers_here())]
        depends.append(key.model_dump_json() if key is not None else "")
        self._name = hashlib.sha256("\n".join(depends).encode()).hexdigest()[:24]

    def read(self) -> list[Time] | None:
        """None if there are none, or none that can be read."""
        try:
            return _LIST.validate_python(read_object(_file()).get(self._name))
        except (ValidationError, WrongUse):  # WrongUse: this user has no place for a cache
            return None

    def write(self, times: list[Time]) -> None:
        """That they could not be kept is said, and no reason not to use them."""
        try:
            file = _file()
            content = {**read_object(file), self._name: [time.model_dump() for time in times]}
            write_whole(file, json.dumps(content, indent=2).encode())
        except (AsitEdgeError, OSError) as error:
            log.warning("how fast backends are here could not be kept: %s", error)


_LIST = TypeAdapter(list[Time])


def _file() -> Path:
    return default_cache() / "backends.json"
