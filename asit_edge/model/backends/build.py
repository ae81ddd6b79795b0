"""Building an engine for this device, and proof that it computes what its ONNX file does.

`python -m asit_edge.model.backends.build BUNDLE OPTIONS FOLDER` is what a listener starts in the background: in a
process of its own, so that whatever the builder does, the listener goes on. People use `python -m export.trt`.
"""

import sys
from pathlib import Path

import numpy as np

from asit_edge.errors import AsitEdgeError
from asit_edge.model.backends.cuda import Cuda
from asit_edge.model.backends.engine import EngineCache, Key, Options, SideCar, make_key, make_side_car
from asit_edge.model.backends.shapes import as_classifier, open_engine, open_onnx
from asit_edge.model.backends.tensorrt import Progress, TensorRT
from asit_edge.model.bundle import Bundle
from asit_edge.model.classifier import Classifier
from asit_edge.model.golden import golden_inputs, golden_scores
from asit_edge.model.latency import measure
from asit_edge.model.variant import Precision

ALLOWED: dict[Precision, float] = {"fp32": 1e-3, "fp16": 0.02, "int8": 0.05}
"""Largest difference of a probability between engine and ONNX Runtime on the same ONNX file.

fp16 rounds sums in another order; in int8 a value at the edge of a step may fall to either side.
"""


def key_here(tensorrt: TensorRT, cuda: Cuda, bundle: Bundle, options: Options) -> Key:
    """The key of the bundle's engine on this device."""
    file = bundle.at(options.precision).model_file
    return make_key(file, tensorrt.version, cuda.gpu, cuda.compute_capability, options)


def build_engine(
    tensorrt: TensorRT,
    cuda: Cuda,
    bundle: Bundle,
    options: Options,
    timing: Path | None,
    progress: Progress | None,
    seconds: float = 1.0,
) -> tuple[SideCar, bytes]:
    """Builds, verifies and measures an engine. Raises AsitEdgeError if it does not compute what it should."""
    key = key_here(tensorrt, cuda, bundle, options)
    onnx = bundle.at(options.precision)
    plan = tensorrt.build(onnx.model_file, options, timing, progress)
    before = cuda.free_memory()
    classifier = as_classifier(bundle, open_engine(bundle, cuda, tensorrt.load(plan), options.batch))
    error = difference(onnx, classifier, as_classifier(onnx, open_onnx(onnx)))
    allowed = ALLOWED[options.precision]
    if not error <= allowed:
        raise AsitEdgeError(
            f"the {options.precision} engine does not compute what {onnx.model_file.name} does on ONNX Runtime (scores "
            f"differ by {error:.2g}, allowed are {allowed:g}); it was not kept"
        )
    batches = sorted({1, options.batch})
    measured = [measure(classifier, bundle.manifest.front_end, batch, seconds) for batch in batches]
    used = max(before - cuda.free_memory(), 0)
    side_car = make_side_car(bundle.manifest, key, plan, error, allowed)
    rows = [{**latency.model_dump(), "gpu_mb": round(used / 1e6, 1)} for latency in measured]
    return side_car.model_copy(update={"benchmark": rows}), plan


def difference(bundle: Bundle, engine: Classifier, reference: Classifier) -> float:
    """Largest difference of a probability between two classifiers on the bundle's golden inputs; never NaN.

    Batches of every size up to all of them are compared, so that no way of stepping goes untried.
    """
    log_mel = golden_inputs(bundle)
    expected = golden_scores(reference, log_mel)
    worst = 0.0
    for batch in range(1, len(log_mel) + 1):
        actual = golden_scores(engine, log_mel[:batch])
        error = float(np.abs(actual - expected[:batch]).max())
        worst = max(worst, error if np.isfinite(error) else np.inf)
    return worst


def main(arguments: list[str]) -> None:
    from asit_edge.model.backends.cuda import DriverCuda
    from asit_edge.model.backends.tensorrt import installed
    from asit_edge.model.bundle import load_bundle

    bundle, options, cache = (
        load_bundle(Path(arguments[0])),
        Options.model_validate_json(arguments[1]),
        EngineCache(Path(arguments[2])),
    )
    try:
        side_car, plan = build_engine(installed(), DriverCuda(), bundle, options, cache.timing_file, None)
        cache.write(bundle.manifest, side_car, plan)
    except AsitEdgeError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(sys.argv[1:])
