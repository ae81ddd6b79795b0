"""`python -m export.trt BUNDLE`: a TensorRT engine for this device, verified against ONNX Runtime and measured.

With `--check` nothing is built for use: the installed TensorRT is held against our calls, and TensorRT-RTX, which
needs no GPU, parses and builds every precision of the bundle. Neither needs torch.
"""

import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from asit_edge.host.directories import default_cache
from asit_edge.model.backends.build import build_engine
from asit_edge.model.backends.choice import engine_precision
from asit_edge.model.backends.cuda import Cuda, DriverCuda
from asit_edge.model.backends.engine import EngineCache, Options, SideCar, write_engine
from asit_edge.model.backends.tensorrt import Progress, TensorRT, installed
from asit_edge.model.bundle import Bundle, load_bundle
from asit_edge.model.variant import Precision
from export.trt_api import missing
from trainer.run.command import run

PRECISIONS: dict[str, Precision] = {"fp32": "fp32", "fp16": "fp16", "int8": "int8"}

OLDEST_OPSET, NEWEST_OPSET = 9, 20
"""What the ONNX parser of TensorRT 10.3 supports."""

GET_RTX = "TensorRT-RTX, which builds without a GPU, is not installed: pip install 'asit-edge[rtx]' (x86-64 Linux)"


def build(
    tensorrt: TensorRT,
    cuda: Cuda,
    bundle: Bundle,
    options: Options,
    cache: EngineCache,
    out: Path | None,
    seconds: float = 1.0,
) -> Path:
    """Builds, verifies, measures and keeps an engine, in the cache or where `out` says. Prints what it does.

    `seconds` is how long each batch is measured.
    """
    print(f"{bundle.manifest.name} {bundle.manifest.version}, {options.precision}, batch up to {options.batch}")
    gpu = cuda.gpu
    print(
        f"TensorRT {tensorrt.version}, {gpu.name} (compute capability {gpu.compute_capability}, {gpu.multiprocessors} "
        f"multiprocessors, {gpu.memory_gb} GB), {gpu.driver}",
        flush=True,
    )
    began = time.monotonic()
    side_car, plan = build_engine(tensorrt, cuda, bundle, options, cache.timing_file, progress_line(began), seconds)
    if out is None:
        out = cache.write(bundle.manifest, side_car, plan)
    else:
        write_engine(out, side_car, plan)
    print(f"built in {time.monotonic() - began:.0f} s: {out} ({len(plan) / 1e6:.1f} MB) and its side-car")
    for line in described(side_car):
        print(line)
    return out


def described(side_car: SideCar) -> list[str]:
    """What a side-car says of an engine's accuracy and speed."""
    verified = side_car.verified
    lines = [
        f"scores differ from ONNX Runtime's by {verified['error']:.2g} at most (allowed {verified['allowed']:g}), "
        f"a label strays by {verified['label_error']:.2g} of its spread (allowed {verified['label_allowed']:g})"
    ]
    for row in side_car.benchmark:
        lines.append(
            f"batch {row['batch']:.0f}: p50 {row['p50_ms']:.3f} ms, p95 {row['p95_ms']:.3f} ms, "
            f"{row['realtime']:.0f} times real time, {row['gpu_mb']:.0f} MB of GPU memory"
        )
    return lines


def progress_line(began: float) -> Progress:
    """Shows the build's progress: one changing line on a terminal, else a line every ten seconds."""
    shown = [0.0]

    def show(phase: str, step: int, steps: int) -> None:
        now = time.monotonic()
        if now - shown[0] < (0.2 if sys.stderr.isatty() else 10):
            return
        shown[0] = now
        end = "\r" if sys.stderr.isatty() else "\n"
        print(f"{now - began:5.0f} s  {phase[:60]} {step}/{steps}".ljust(90), end=end, file=sys.stderr, flush=True)

    return show


def check(bundle: Bundle, options: list[Options]) -> list[str]:
    """What can be said without a GPU, one line each. AsitEdgeError if something is wrong, or there is nothing."""
    lines = [opset_line(bundle.at(one.precision).model_file) for one in options]
    known = len(lines)
    for name in ("tensorrt", "tensorrt_rtx"):
        if find_spec(name) is None:
            continue
        found = installed(name)
        if problems := missing(found.module):
            raise AsitEdgeError(f"{name} {found.version} does not have what we call: {'; '.join(problems)}")
        lines.append(f"{name} {found.version}: has everything that we call")
        if name == "tensorrt_rtx":
            for one in options:
                file = bundle.at(one.precision).model_file
                began = time.monotonic()
                plan = found.build(file, one, None, None)
                lines.append(
                    f"{file.name}: parsed and built, {len(plan) / 1e6:.1f} MB in {time.monotonic() - began:.1f} s"
                )
    if len(lines) == known:
        raise AsitEdgeError(f"nothing to check with. {GET_RTX}")
    for part, missing_part in (("TensorRT", installed), ("GPU", DriverCuda)):
        try:
            missing_part()
        except AsitEdgeError as error:
            lines.append(f"no engine can be built here, {part}: {error}")
    return lines


def opset_line(file: Path) -> str:
    """Which opset a model is of. Raises AsitEdgeError if TensorRT 10.3, our oldest, cannot read it."""
    if find_spec("onnx") is None:
        return f"{file.name}: opset not looked at, the Python package onnx is not installed"
    import onnx  # in the lab only; a Jetson has none

    try:
        model = onnx.load(str(file), load_external_data=False)
    except Exception as error:  # protobuf's errors have no base of ours
        raise AsitEdgeError(f"{file}: is not an ONNX model ({one_line(error)[:200]})") from None
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise AsitEdgeError(
            f"{file}: opset {opset}; TensorRT 10.3 (JetPack 6) reads {OLDEST_OPSET} to {NEWEST_OPSET}: export it with "
            "opset 18, as python -m export.bundle does"
        )
    return f"{file.name}: opset {opset}, which TensorRT 10.3 and later read"


def main(
    bundle: Annotated[Path, typer.Argument(help="Directory of a model bundle.")],
    precision: Annotated[str, typer.Option(help="auto (what a listener would use), fp16, int8 or fp32.")] = "auto",
    batch: Annotated[int, typer.Option(min=1, max=64, help="Streams in one step at most; its number of sources.")] = 1,
    workspace_mb: Annotated[int, typer.Option(min=16, help="Scratch memory that the builder may use, MB.")] = 1024,
    engines: Annotated[
        Path | None, typer.Option(help="Folder of engines, as tensorrt.engines in the configuration.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the plan there instead, its side-car beside it.")] = None,
    force: Annotated[bool, typer.Option(help="Build a variant that failed its gate.")] = False,
    only_check: Annotated[bool, typer.Option("--check", help="Check without a GPU; builds nothing for use.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the side-car.")] = False,
) -> None:
    """Build a TensorRT engine on the device that will run it, verify it against ONNX Runtime, and measure it."""
    loaded = load_bundle(bundle)
    if precision == "auto":
        chosen = engine_precision(loaded, Config())
    elif precision in PRECISIONS:
        chosen = PRECISIONS[precision]
    else:
        raise WrongUse(f"--precision {precision!r}: must be auto, fp16, int8 or fp32")

    def options(one: Precision) -> Options:
        return Options(precision=one, batch=batch, best_batch=batch, workspace_mb=workspace_mb)

    if only_check:
        wanted = loaded.precisions if precision == "auto" else [chosen]
        for line in check(loaded, [options(one) for one in wanted]):
            print(line)
        return
    loaded.at(chosen)
    variant = loaded.manifest.variants.get(chosen) if chosen != "fp32" else None
    if variant is not None and not variant.gate.passed and not force:
        name, (value, limit) = next(iter(variant.gate.failures.items()))
        raise AsitEdgeError(f"{chosen}: failed its gate ({name} is {value:g}, allowed is {limit:g}); --force builds it")
    if out is not None and out.suffix != ".plan":
        raise WrongUse(f"--out {out}: must end in .plan; the side-car gets the same name with .json")
    cache = EngineCache(engines or default_cache() / "engines")
    plan = build(installed(), DriverCuda(), loaded, options(chosen), cache, out)
    if as_json:
        print(json.dumps(json.loads(plan.with_suffix(".json").read_bytes())))


if __name__ == "__main__":
    run("export.trt", main)
