"""Which backend runs a bundle's model, in which precision: as the configuration says, or what is best here.

Nothing here can stop a listener from listening: without TensorRT, without a GPU, with a damaged or foreign engine,
ONNX Runtime serves, and the log says why. Only a backend that was asked for by name is insisted on at start.
"""

import atexit
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError, one_line
from asit_edge.host.directories import default_cache
from asit_edge.model.backends.build import check_loaded, key_here
from asit_edge.model.backends.cuda import Cuda, DriverCuda
from asit_edge.model.backends.engine import EngineCache, Options
from asit_edge.model.backends.fallback import SwitchedStream, SwitchedWindows
from asit_edge.model.backends.shapes import Backend, as_classifier, open_engine, open_onnx
from asit_edge.model.backends.tensorrt import TensorRT, installed
from asit_edge.model.bundle import Bundle, StreamModel
from asit_edge.model.latency import faster
from asit_edge.model.variant import Precision

log = logging.getLogger(__name__)

Builder = Callable[[Bundle, Options, EngineCache], None]
"""Puts an engine into the cache. Raises AsitEdgeError if there will be none."""


def onnx_precision(bundle: Bundle, config: Config) -> Precision:
    """fp32, unless another precision is asked for or int8 passed its gate and was measured to be faster here."""
    if config.precision != "auto":
        return _asked_for(bundle, config.precision)
    int8 = bundle.manifest.variants.get("int8")
    if int8 is not None and int8.gate.passed and faster(bundle, config.provider, config.threads):
        return "int8"
    return "fp32"


def engine_precision(bundle: Bundle, config: Config) -> Precision:
    """fp16 if it passed its gate, unless another precision is asked for."""
    if config.precision != "auto":
        return _asked_for(bundle, config.precision)
    fp16 = bundle.manifest.variants.get("fp16")
    return "fp16" if fp16 is not None and fp16.gate.passed else "fp32"


def engine_options(bundle: Bundle, config: Config) -> Options:
    """How this configuration's engine is built."""
    batch = config.tensorrt.batch or min(len(config.sources), 64)
    return Options(
        precision=engine_precision(bundle, config),
        batch=batch,
        best_batch=batch,
        workspace_mb=config.tensorrt.workspace_mb,
    )


def engine_cache(config: Config) -> EngineCache:
    """The folder of engines."""
    return EngineCache(config.tensorrt.engines or default_cache() / "engines")


def tensorrt_wanted(config: Config) -> bool:
    """Is it asked for, or is `auto` and installed?"""
    return config.backend == "tensorrt" or (config.backend == "auto" and find_spec("tensorrt") is not None)


def build_in_child(bundle: Bundle, options: Options, cache: EngineCache) -> None:
    """Builds in another process, at low priority; ends it if this process ends."""
    command = [sys.executable, "-m", "asit_edge.model.backends.build", str(bundle.path), options.model_dump_json()]
    child = subprocess.Popen(
        ["nice", "-n", "10", *command, str(cache.folder)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    atexit.register(child.kill)
    try:
        _, text = child.communicate()
    finally:
        atexit.unregister(child.kill)
    if child.returncode:
        raise AsitEdgeError(one_line(text)[-400:] or f"the builder ended with {child.returncode}")


@dataclass(frozen=True)
class Parts:
    """What choosing depends on; tests put their own in."""

    tensorrt: Callable[[], TensorRT] = installed
    cuda: Callable[[], Cuda] = DriverCuda
    build: Builder = build_in_child


def open_backend(bundle: Bundle, config: Config, may_build: bool = False, parts: Parts | None = None) -> Backend:
    """What runs the bundle's model.

    Without `may_build` what serves at the start serves to the end: the same recording gives the same events.

    Raises AsitEdgeError or WrongUse if ONNX Runtime cannot serve as configured, or TensorRT is asked for by name and
    there is none, or no GPU.
    """
    serving = open_onnx(bundle.at(onnx_precision(bundle, config)), config.threads, config.provider)
    if not tensorrt_wanted(config):
        return serving
    parts = parts or Parts()
    try:
        tensorrt, cuda = parts.tensorrt(), parts.cuda()
    except AsitEdgeError as error:
        if config.backend == "tensorrt":
            raise
        log.info("ONNX Runtime serves: %s", error)
        return serving
    streams = isinstance(bundle.manifest.model, StreamModel)
    switched: Any = SwitchedStream(serving) if streams else SwitchedWindows(serving)  # type: ignore[arg-type]

    def offer(plan: bytes, options: Options) -> None:
        engine = open_engine(bundle, cuda, tensorrt.load(plan), options.batch)
        check_loaded(bundle, options.precision, as_classifier(bundle, engine), as_classifier(bundle, serving))
        switched.offer(engine)

    build = parts.build if may_build and config.tensorrt.build == "background" else None
    _Supply(bundle, config, tensorrt, cuda, build, offer).start()
    backend: Backend = switched
    return backend


class _Supply:
    """Finds the engine, or has it built, and offers it."""

    def __init__(
        self,
        bundle: Bundle,
        config: Config,
        tensorrt: TensorRT,
        cuda: Cuda,
        build: Builder | None,
        offer: Callable[[bytes, Options], None],
    ) -> None:
        self._bundle = bundle
        self._options = engine_options(bundle, config)
        self._key = key_here(tensorrt, cuda, bundle, self._options)
        self._cache = engine_cache(config)
        self._build = build
        self._offer = offer

    def start(self) -> None:
        try:
            self._use()
        except Exception as error:  # TensorRT may raise anything; whatever it is, a listener goes on
            options = f"--precision {self._options.precision} --batch {self._options.batch}"
            command = f"python -m export.trt {self._bundle.path} {options}"
            if self._build is None:
                log.warning(
                    "ONNX Runtime serves, without a usable engine: %s; build one with %s", one_line(error), command
                )
                return
            log.warning(
                "ONNX Runtime serves while an engine is built (%s), as there is none to use: %s",
                command,
                one_line(error),
            )
            threading.Thread(target=self._build_and_use, args=(self._build,), name="engine build", daemon=True).start()

    def _use(self) -> None:
        plan = self._cache.read(self._bundle.manifest, self._key)
        self._offer(plan, self._options)
        log.info(
            "TensorRT %s serves on %s, %s, up to %d stream(s) a step",
            self._key.tensorrt,
            self._key.gpu.name,
            self._options.precision,
            self._options.batch,
        )

    def _build_and_use(self, build: Builder) -> None:
        try:
            build(self._bundle, self._options, self._cache)
            self._use()
        except Exception as error:
            log.warning("no engine could be built (%s); ONNX Runtime goes on serving", one_line(error))


def _asked_for(bundle: Bundle, precision: Precision) -> Precision:
    bundle.at(precision)  # WrongUse if it has none
    variant = bundle.manifest.variants.get(precision) if precision != "fp32" else None
    if variant is not None and not variant.gate.passed:
        name, (value, limit) = next(iter(variant.gate.failures.items()))
        log.warning(
            "the %s model failed its gate (%s is %g, allowed is %g); it is used because it is asked for",
            precision,
            name,
            value,
            limit,
        )
    return precision
