"""Building an engine for this device, and proof that it computes what its ONNX file does.

`python -m asit_edge.model.backends.build BUNDLE OPTIONS FOLDER` is what a listener starts in the background: in a
process of its own, so that whatever the builder does, the listener goes on. `--asked` is what the unit beside a service
runs, and `--ended` what systemd runs after it. People use `python -m export.trt`.
"""

import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from asit_edge.errors import AsitEdgeError
from asit_edge.host.delegated import answer_for_the_ended, do_asked
from asit_edge.host.directories import default_cache
from asit_edge.model.backends.cuda import Cuda
from asit_edge.model.backends.engine import EngineCache, Key, Options, SideCar, make_key, make_side_car
from asit_edge.model.backends.shapes import as_classifier, open_engine, open_onnx
from asit_edge.model.backends.tensorrt import Progress, TensorRT
from asit_edge.model.bundle import Bundle
from asit_edge.model.classifier import Classifier
from asit_edge.model.golden import (
    GOLDEN,
    LABEL_ERROR,
    QUICK,
    Allowed,
    Deviation,
    allowed_for,
    certain_of,
    deviation,
    golden_deviation,
    golden_inputs,
    golden_scores,
)
from asit_edge.model.latency import measure
from asit_edge.model.variant import Precision

ALLOWED: dict[Precision, Allowed] = {
    "fp32": Allowed(1e-3, LABEL_ERROR["fp32"]),
    "fp16": Allowed(0.02, LABEL_ERROR["fp16"]),
    "int8": Allowed(0.05, LABEL_ERROR["int8"]),
}
"""Between engine and ONNX Runtime on the same ONNX file.

fp16 rounds sums in another order; in int8 a value at the edge of a step may fall to either side.
"""

MOST_STRAY = 0.9
"""Of a label, whatever was added up to it: a dead one strays by 1."""


def key_here(tensorrt: TensorRT, cuda: Cuda, bundle: Bundle, options: Options) -> Key:
    """The key of the bundle's engine on this device."""
    file = bundle.at(options.precision).model_file
    return make_key(file, tensorrt.version, cuda.gpu, options)


def build_engine(
    tensorrt: TensorRT,
    cuda: Cuda,
    bundle: Bundle,
    options: Options,
    timing: Path | None,
    progress: Progress | None,
    seconds: float = 1.0,
) -> tuple[SideCar, bytes]:
    """Builds, verifies and measures an engine. Raises AsitEdgeError if it does not compute what it should, or its ONNX
    file does not give the bundle's golden scores.
    """
    key = key_here(tensorrt, cuda, bundle, options)
    onnx = bundle.at(options.precision)
    reference = as_classifier(onnx, open_onnx(onnx))
    refuse_damaged(onnx, options.precision, reference)
    plan = tensorrt.build(onnx.model_file, options, timing, progress)
    before = cuda.free_memory()
    classifier = as_classifier(bundle, open_engine(bundle, cuda, tensorrt.load(plan), options.batch))
    found, allowed = difference(onnx, classifier, reference, options.batch), ALLOWED[options.precision]
    if not found.within(allowed):
        raise AsitEdgeError(
            f"the {options.precision} engine does not compute what {onnx.model_file.name} does on ONNX Runtime "
            f"({found.told(bundle, allowed)}); it was not kept"
        )
    batches = sorted({1, options.batch})
    measured = [measure(classifier, bundle.manifest.front_end, batch, seconds) for batch in batches]
    used = max(before - cuda.free_memory(), 0)
    verified = {
        "error": found.error,
        "allowed": allowed.error,
        "label_error": found.label_error,
        "label_allowed": allowed.label_error,
    }
    side_car = make_side_car(bundle.manifest, key, plan, verified)
    rows = [{**latency.model_dump(), "gpu_mb": round(used / 1e6, 1)} for latency in measured]
    return side_car.model_copy(update={"benchmark": rows}), plan


def difference(bundle: Bundle, engine: Classifier, reference: Classifier, batch: int) -> Deviation:
    """How far an engine is from a reference on the bundle's golden inputs.

    All of them in batches of `batch`, the first ones in every smaller batch too: every way of stepping is tried. Where
    there are fewer than that they are repeated.
    """
    given = golden_inputs(bundle)
    inputs = np.resize(given, (max(batch, len(given)), *given.shape[1:]))
    expected = golden_scores(reference, inputs)
    worst = deviation(expected, golden_scores(engine, inputs, batch), certain_of(bundle))
    for size in range(1, batch):
        found = deviation(expected[:size], golden_scores(engine, inputs[:size], size))
        worst = replace(worst, error=max(worst.error, found.error))
    return worst


def refuse_damaged(bundle: Bundle, precision: Precision, classifier: Classifier) -> None:
    """Raises AsitEdgeError if the bundle has golden scores and the classifier does not give them."""
    if GOLDEN not in bundle.manifest.files:
        return
    found, allowed = golden_deviation(bundle, classifier), allowed_for(bundle, precision)
    if not found.within(allowed):
        raise AsitEdgeError(
            f"{bundle.model_file}: does not give the bundle's golden scores ({found.told(bundle, allowed)}); it is "
            "damaged, and nothing is made from it"
        )


def check_loaded(bundle: Bundle, precision: Precision, engine: Classifier, reference: Classifier) -> None:
    """A quick look at an engine that was just loaded: a few golden inputs, or noise where there are none.

    Raises AsitEdgeError if it does not compute what it should.
    """
    if GOLDEN in bundle.manifest.files:
        found, allowed = golden_deviation(bundle, engine, QUICK), loaded_allowed(bundle, precision)
    else:
        inputs = golden_inputs(bundle)[:QUICK]
        found = deviation(golden_scores(reference, inputs), golden_scores(engine, inputs))
        allowed = ALLOWED[precision]
    if not found.within(allowed):
        raise AsitEdgeError(f"the engine does not compute what it was built for ({found.told(bundle, allowed)})")


def loaded_allowed(bundle: Bundle, precision: Precision) -> Allowed:
    """What an engine may differ by from the golden scores: as its ONNX file, and as it may differ from that."""
    file, engine = allowed_for(bundle, precision), ALLOWED[precision]
    return Allowed(file.error + engine.error, min(file.label_error + engine.label_error, MOST_STRAY))


def go_first() -> None:
    """Where memory is short, the kernel ends this process before any other: never the listener that waits for it."""
    with contextlib.suppress(OSError):  # not Linux, or no /proc
        Path("/proc/self/oom_score_adj").write_text("1000")


def asked_in() -> Path:
    """The folder in which a service asks its builder's unit."""
    return default_cache() / "build"


def build_and_keep(work: Mapping[str, Any]) -> None:
    """`work` names the `bundle`, the `options` and the folder of `engines`. Raises AsitEdgeError."""
    from asit_edge.model.backends.cuda import DriverCuda
    from asit_edge.model.backends.tensorrt import installed
    from asit_edge.model.bundle import load_bundle

    bundle, cache = load_bundle(Path(work["bundle"])), EngineCache(Path(work["engines"]))
    options = Options.model_validate(work["options"])
    side_car, plan = build_engine(installed(), DriverCuda(), bundle, options, cache.timing_file, None)
    cache.write(bundle.manifest, side_car, plan)


def main(arguments: list[str]) -> None:
    if arguments == ["--ended"]:
        answer_for_the_ended(asked_in(), os.environ)
        return
    go_first()
    try:
        if arguments == ["--asked"]:
            do_asked(asked_in(), build_and_keep)
        else:
            options = Options.model_validate_json(arguments[1])
            build_and_keep({"bundle": arguments[0], "options": options, "engines": arguments[2]})
    except AsitEdgeError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(sys.argv[1:])
