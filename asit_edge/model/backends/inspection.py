"""What `asit-edge model info`, `verify` and `bench` find out about a bundle on this device. Printing is the cli's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError
from asit_edge.model.backends.build import key_here, loaded_allowed
from asit_edge.model.backends.choice import engine_cache, engine_options, onnx_precision
from asit_edge.model.backends.contest import Time, winner
from asit_edge.model.backends.cuda import DriverCuda, NoGpu
from asit_edge.model.backends.engine import NotBuilt, Options
from asit_edge.model.backends.session import Provider, providers_here
from asit_edge.model.backends.shapes import as_classifier, open_classifier, open_engine
from asit_edge.model.backends.tensorrt import installed
from asit_edge.model.bundle import Bundle
from asit_edge.model.classifier import Classifier
from asit_edge.model.golden import Deviation, allowed_for, golden_deviation, never_active
from asit_edge.model.latency import Latency, measure, remember
from asit_edge.model.variant import Precision


@dataclass(frozen=True)
class Candidate:
    """A way of running the model here; opening it may find that it does not work."""

    backend: str
    precision: Precision
    bundle: Bundle
    config: Config

    def open(self) -> Classifier:
        """Raises AsitEdgeError if this way is closed."""
        if self.backend == "tensorrt":
            return _engine(self.bundle, self.config, self.precision)
        provider: Provider = self.config.provider
        return open_classifier(self.bundle.at(self.precision), self.config.threads, None, provider)


@dataclass(frozen=True)
class Verdict:
    """Of one way: `ok`, `wrong`, or `absent`, which is no fault: there is no engine yet, or nothing to check against.

    `problem` says what is wrong or absent; the numbers are None where nothing could be scored.
    """

    backend: str
    precision: Precision
    state: Literal["ok", "wrong", "absent"]
    error: float | None = None
    label_error: float | None = None
    allowed: float | None = None
    label_allowed: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class Speed:
    """Of one way: its latency, or why it could not be tried."""

    backend: str
    precision: Precision
    latency: Latency | None
    problem: str = ""


def describe(bundle: Bundle, config: Config) -> dict[str, Any]:
    """What is in a bundle, and what of this device bears on it."""
    manifest = bundle.manifest
    return {
        "path": str(bundle.path),
        "name": manifest.name,
        "version": manifest.version,
        "license": manifest.license,
        "labels": [label.name for label in manifest.labels],
        "experimental": [label.name for label in manifest.labels if label.experimental],
        "front_end": manifest.front_end.model_dump(),
        "model": manifest.model.model_dump(),
        "files": {name: (bundle.path / name).stat().st_size for name in manifest.files},
        "variants": {
            name: {
                "file": variant.file,
                "missing": "" if name in bundle.variants else bundle.to_make(name),
                "passed": variant.gate.passed,
                **variant.gate.model_dump(),
            }
            for name, variant in manifest.variants.items()
        },
        "unchecked": never_active(bundle),
        "training": manifest.training,
        "metrics": manifest.metrics,
        "here": {
            "onnxruntime": providers_here(),
            "onnxruntime_precision": onnx_precision(bundle, config),
            "tensorrt": tensorrt_here(bundle, config),
        },
    }


def tensorrt_here(bundle: Bundle, config: Config) -> str:
    """In words: can TensorRT run this bundle here, and is its engine there?"""
    try:
        _engine_plan(bundle, config, engine_options(bundle, config))
    except AsitEdgeError as error:
        return str(error)
    return f"TensorRT {installed().version}, engine built"


def candidates(bundle: Bundle, config: Config) -> Iterator[Candidate]:
    """Every precision of the bundle on ONNX Runtime; and on TensorRT where it is installed."""
    try:
        installed()
        backends = ["onnxruntime", "tensorrt"]
    except AsitEdgeError:
        backends = ["onnxruntime"]
    if config.backend != "auto":
        backends = [config.backend]
    precisions = bundle.precisions if config.precision == "auto" else [config.precision]
    for backend in backends:
        for precision in precisions:
            bundle.at(precision)  # WrongUse if it has none
            yield Candidate(backend, precision, bundle, config)


def verify(bundle: Bundle, config: Config) -> Iterator[Verdict]:
    """Each way of running the model against the bundle's golden scores.

    An engine that was never built here, for this model and these parts, is absent, not wrong; so is a model that is
    made on the device and was not yet.
    """
    for way in candidates(bundle, config):
        try:
            classifier = way.open()
        except AsitEdgeError as error:
            absent = isinstance(error, NotBuilt) or (isinstance(error, NoGpu) and config.backend == "auto")
            yield Verdict(way.backend, way.precision, "absent" if absent else "wrong", problem=str(error))
            continue
        try:
            yield _verdict(way, golden_deviation(bundle, classifier))
        except AsitEdgeError as error:
            yield Verdict(way.backend, way.precision, "wrong", problem=str(error))
    for precision in bundle.manifest.variants if config.precision == "auto" else ():
        if precision not in bundle.variants:
            yield Verdict("-", precision, "absent", problem=bundle.to_make(precision))


def _verdict(way: Candidate, found: Deviation) -> Verdict:
    allowed = allowed_for(way.bundle, way.precision)
    if way.backend == "tensorrt":
        allowed = loaded_allowed(way.bundle, way.precision)
    right = found.within(allowed)
    numbers = (found.error, found.label_error, allowed.error, allowed.label_error)
    problem = "" if right else found.told(way.bundle, allowed)
    return Verdict(way.backend, way.precision, "ok" if right else "wrong", *numbers, problem)


def bench(bundle: Bundle, config: Config, batches: list[int], seconds: float) -> Iterator[Speed]:
    """The latency of each way, batch by batch; what ONNX Runtime reaches is remembered for `precision: auto`."""
    medians: dict[Precision, float] = {}
    for way in candidates(bundle, config):
        try:
            classifier = way.open()
        except AsitEdgeError as error:
            yield Speed(way.backend, way.precision, None, str(error))
            continue
        for batch in batches:
            latency = measure(classifier, bundle.manifest.front_end, batch, seconds)
            if way.backend == "onnxruntime" and batch == 1:
                medians[way.precision] = latency.p50_ms
            yield Speed(way.backend, way.precision, latency)
    if medians:
        remember(bundle, config.provider, config.threads, medians)


def fastest(speeds: Sequence[Speed], config: Config) -> str:
    """Which way `backend: auto` would take for one stream, and why, in a line."""
    times = [
        Time(
            backend="tensorrt" if speed.backend == "tensorrt" else f"onnxruntime {config.provider}",
            precision=speed.precision,
            p50_ms=speed.latency.p50_ms if speed.latency else None,
            problem=speed.problem,
        )
        for speed in speeds
        if speed.latency is None or speed.latency.batch == 1
    ]
    best, why = winner(times, f"onnxruntime {config.provider} fp32")
    return f"fastest: {best.name if best else 'none'} ({why})"


def _engine_plan(bundle: Bundle, config: Config, options: Options) -> bytes:
    tensorrt, cuda = installed(), DriverCuda()
    return engine_cache(config).read(bundle.manifest, key_here(tensorrt, cuda, bundle, options))


def _engine(bundle: Bundle, config: Config, precision: Precision) -> Classifier:
    options = engine_options(bundle, config).model_copy(update={"precision": precision})
    plan = _engine_plan(bundle, config, options)
    return as_classifier(bundle, open_engine(bundle, DriverCuda(), installed().load(plan), options.batch))
