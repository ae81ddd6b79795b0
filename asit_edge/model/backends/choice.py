"""Which backend runs a bundle's model, in which precision: as the configuration says, or what is best here.

Nothing here can stop a listener from listening: without TensorRT, without a GPU, with a damaged or foreign engine,
ONNX Runtime serves, and the log says why. Only a backend that was asked for by name is insisted on at start.
"""

import atexit
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError, one_line
from asit_edge.host.delegated import NobodyBegins, ask
from asit_edge.host.directories import default_cache
from asit_edge.host.scope import in_own_scope
from asit_edge.model.backends.build import asked_in, check_loaded, key_here
from asit_edge.model.backends.contest import Measure, Time, Times, Way, onnx_ways, time_all, timed, winner
from asit_edge.model.backends.cuda import Cuda, DriverCuda
from asit_edge.model.backends.engine import EngineCache, Options
from asit_edge.model.backends.fallback import SwitchedStream, SwitchedWindows
from asit_edge.model.backends.serving import Serving
from asit_edge.model.backends.shapes import Backend, as_classifier, open_engine, open_onnx
from asit_edge.model.backends.tensorrt import TensorRT, installed
from asit_edge.model.bundle import Bundle, StreamModel
from asit_edge.model.latency import faster, remember
from asit_edge.model.variant import Precision

log = logging.getLogger(__name__)

BUILD_UNIT = "ASIT_EDGE_BUILD_UNIT"
"""Set where a unit of its own builds engines: by the drop-in for a Jetson."""
BUILD_MEMORY = "80%"
"""Of the machine's, in the builder's scope."""

Builder = Callable[[Bundle, Options, EngineCache], None]
"""Puts an engine into the cache. Raises AsitEdgeError if there will be none."""


def onnx_precision(bundle: Bundle, config: Config, listens: bool = True) -> Precision:
    """fp32, unless another precision is asked for, or who asks `listens` and int8 passed its gate and was measured to
    be faster here. A recording is heard the same way whatever has been measured."""
    if config.precision != "auto":
        return _asked_for(bundle, config.precision)
    int8 = bundle.variants.get("int8") if listens else None
    if int8 is not None and int8.gate.passed and faster(bundle, config.provider, config.threads):
        return "int8"
    return "fp32"


def engine_precision(bundle: Bundle, config: Config) -> Precision:
    """fp16 if it passed its gate, unless another precision is asked for."""
    if config.precision != "auto":
        return _asked_for(bundle, config.precision)
    fp16 = bundle.variants.get("fp16")
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


def build_apart(bundle: Bundle, options: Options, cache: EngineCache) -> None:
    """Builds in the unit beside this service where there is one (systemd/asit-edge-build.service), else in a child."""
    if os.environ.get(BUILD_UNIT):
        work = {"bundle": str(bundle.path), "options": options.model_dump(), "engines": str(cache.folder)}
        try:
            ask(asked_in(), work)
            return
        except NobodyBegins as error:
            remedy = "sudo systemctl enable --now asit-edge-build.path"
            log.warning("an engine is built beside the listener, in its memory limit (%s): %s", error, remedy)
    build_in_child(bundle, options, cache)


def build_in_child(bundle: Bundle, options: Options, cache: EngineCache) -> None:
    """Builds in another process, at low priority, in a scope of its own where that can be had; ends it if this process
    ends.
    """
    build = [sys.executable, "-m", "asit_edge.model.backends.build", str(bundle.path), options.model_dump_json()]
    command = in_own_scope(["nice", "-n", "10", *build, str(cache.folder)], BUILD_MEMORY)
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    atexit.register(child.kill)
    try:
        _, text = child.communicate()
    finally:
        atexit.unregister(child.kill)
    if child.returncode == -signal.SIGKILL:
        raise AsitEdgeError("the builder was ended by the kernel, as it does where memory runs out")
    if child.returncode:
        raise AsitEdgeError(one_line(text)[-400:] or f"the builder ended with {child.returncode}")


@dataclass(frozen=True)
class Parts:
    """What choosing depends on; tests put their own in."""

    tensorrt: Callable[[], TensorRT] = installed
    cuda: Callable[[], Cuda] = DriverCuda
    build: Builder = build_apart
    measure: Measure = timed


def open_backend(
    bundle: Bundle,
    config: Config,
    may_build: bool = False,
    parts: Parts | None = None,
    serving: Serving | None = None,
) -> Backend:
    """What runs the bundle's model; `serving` is told what that is, also when it changes.

    Without `may_build` what serves at the start serves to the end: the same recording gives the same events. With it,
    a missing engine is built, and with `backend: auto` the fastest way is found, both in the background.

    Raises AsitEdgeError or WrongUse if ONNX Runtime cannot serve as configured, or TensorRT is asked for by name and
    there is none, or no GPU.
    """
    parts, told = parts or Parts(), serving or Serving()
    precision = onnx_precision(bundle, config, listens=may_build)
    first = Way(f"onnxruntime {config.provider}", precision, lambda: fallback)
    fallback = open_onnx(bundle.at(precision), config.threads, config.provider)
    asked = config.backend == "onnxruntime"
    told.tell(first.backend, precision, "asked for" if asked else "it is there from the start")
    gpu = None
    if tensorrt_wanted(config):
        try:
            gpu = _Gpu(parts.tensorrt(), parts.cuda())
        except AsitEdgeError as error:
            if config.backend == "tensorrt":
                raise
            log.info("ONNX Runtime serves: %s", error)
            told.tell(first.backend, precision, f"no TensorRT: {one_line(error)[:200]}")
    others = list(onnx_ways(bundle, config)) if config.backend == "auto" and may_build else []
    if gpu is None and len(others) < 2:
        return fallback
    streams = isinstance(bundle.manifest.model, StreamModel)
    switched: Any = (SwitchedStream if streams else SwitchedWindows)(fallback, told)  # type: ignore[arg-type]
    _Supply(bundle, config, gpu, parts, may_build, _Switch(switched, first, told), others).start()
    backend: Backend = switched
    return backend


@dataclass(frozen=True)
class _Gpu:
    """TensorRT and what it runs on."""

    tensorrt: TensorRT
    cuda: Cuda


@dataclass(frozen=True)
class _Switch:
    """What serves, and what takes its place."""

    switched: Any
    first: Way
    serving: Serving

    def to(self, way: Way, backend: Backend, why: str) -> None:
        """What can fail in other ways than the first serves over it; another precision of the first in its place."""
        if way.backend == self.first.backend:
            self.switched.fall_back_on(backend)
        else:
            self.switched.offer(backend)
        self.serving.tell(way.backend, way.precision, why)
        log.info("%s serves, %s: %s", way.backend, way.precision, why)

    def stay(self, why: str) -> None:
        self.serving.tell(self.first.backend, self.first.precision, why)


class _Supply:
    """Finds the engine, or has it built, compares it with the other ways, and offers what is best."""

    def __init__(
        self,
        bundle: Bundle,
        config: Config,
        gpu: _Gpu | None,
        parts: Parts,
        may_build: bool,
        switch: _Switch,
        others: list[Way],
    ) -> None:
        self._bundle, self._config = bundle, config
        self._options = engine_options(bundle, config)
        self._gpu = gpu
        self._key = key_here(gpu.tensorrt, gpu.cuda, bundle, self._options) if gpu else None
        self._cache = engine_cache(config) if gpu else None
        self._build = parts.build if may_build and config.tensorrt.build == "background" else None
        self._measure = parts.measure
        self._switch = switch
        self._others = others
        self._times = Times(bundle, config, self._options.batch, self._key)

    def start(self) -> None:
        """At once where that is a matter of loading, in a thread where something must be built or timed."""
        if self._gpu is None or (self._others and self._times.read() is None):
            threading.Thread(target=self._try, name="backends", daemon=True).start()
        else:
            self._try()

    def _try(self) -> None:
        try:
            self._use()
            return
        except Exception as error:  # TensorRT may raise anything; whatever it is, a listener goes on
            options = f"--precision {self._options.precision} --batch {self._options.batch}"
            command = f"python -m export.trt {self._bundle.path} {options}"
            cause = one_line(error)
        if self._gpu is None:
            log.warning("backends could not be compared (%s)", cause)
            return
        if self._build is None:
            log.warning("ONNX Runtime serves, without a usable engine: %s; build one with %s", cause, command)
            self._do_without(f"no usable engine: {cause[:200]}")
            return
        self._switch.stay(f"an engine is being built, as there is none to use: {cause[:200]}")
        log.warning("ONNX Runtime serves while an engine is built (%s), as there is none to use: %s", command, cause)
        threading.Thread(target=self._build_and_use, args=(self._build,), name="engine build", daemon=True).start()

    def _build_and_use(self, build: Builder) -> None:
        assert self._cache
        try:
            build(self._bundle, self._options, self._cache)
            self._use()
        except Exception as error:
            log.warning("no engine could be built (%s); ONNX Runtime goes on serving", one_line(error))
            self._do_without(f"no engine could be built: {one_line(error)[:200]}")

    def _use(self) -> None:
        """Raises whatever opening an engine raises."""
        engine = self._engine() if self._gpu else None
        if self._others:
            self._compare([*self._others, *([engine] if engine else [])], self._times)
        elif engine is not None:
            self._switch.to(engine, engine.open(), self._described())

    def _do_without(self, why: str) -> None:
        """No engine: what else there is, compared."""
        self._switch.stay(why)
        if len(self._others) > 1:
            try:
                self._compare(self._others, Times(self._bundle, self._config, self._options.batch, None), f"{why}; ")
            except Exception as error:  # as above
                log.warning("backends could not be compared (%s)", one_line(error))

    def _compare(self, ways: list[Way], kept: Times, before: str = "") -> None:
        times = kept.read()
        if times is None:
            times = time_all(ways, self._bundle, self._options.batch, self._measure)
            kept.write(times)
            self._remember(times)
        first = self._switch.first
        best, why = winner(times, first.name)
        chosen = next((way for way in ways if best is not None and way.name == best.name), first)
        if chosen.name == first.name:
            self._switch.stay(before + why)
            log.debug("%s goes on serving, %s: %s", first.backend, first.precision, why)
        else:
            self._switch.to(chosen, chosen.open(), before + why)

    def _remember(self, times: list[Time]) -> None:
        """So that the next start opens the faster precision of ONNX Runtime at once."""
        first = self._switch.first
        medians = {time.precision: time.p50_ms for time in times if time.backend == first.backend and time.p50_ms}
        if self._options.batch == 1 and len(medians) > 1:
            with suppress(AsitEdgeError):  # that nothing can be kept here, `Times` has said
                remember(self._bundle, self._config.provider, self._config.threads, medians)

    def _engine(self) -> Way:
        """The engine, loaded and looked at. Raises whatever that raises."""
        assert self._gpu
        assert self._cache
        assert self._key
        plan = self._cache.read(self._bundle.manifest, self._key)
        gpu, options = self._gpu, self._options
        engine = open_engine(self._bundle, gpu.cuda, gpu.tensorrt.load(plan), options.batch)
        reference = as_classifier(self._bundle, self._switch.first.open())
        check_loaded(self._bundle, options.precision, as_classifier(self._bundle, engine), reference)
        return Way("tensorrt", options.precision, lambda: engine)

    def _described(self) -> str:
        assert self._key
        most = self._options.batch
        return f"TensorRT {self._key.tensorrt} serves on {self._key.gpu.name}, up to {most} stream(s) a step"


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
