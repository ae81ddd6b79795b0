"""What is said to run a model follows what does."""

from pathlib import Path

import numpy as np
import pytest

from asit_edge.config.root import Config
from asit_edge.model.backends.choice import open_backend
from asit_edge.model.backends.fallback import SwitchedWindows
from asit_edge.model.backends.serving import Serving, serving
from asit_edge.model.backends.shapes import open_onnx
from asit_edge.model.bundle import load_bundle


class Engine:
    """Works until it is told to fail."""

    fails = False

    def score(self, windows: np.ndarray) -> np.ndarray:
        if self.fails:
            raise RuntimeError("the GPU fell off the bus")
        return np.zeros((len(windows), 2), np.float32)


def test_without_an_engine_it_is_onnx_runtime(tone_bundle: Path) -> None:
    bundle, config = load_bundle(tone_bundle), Config.model_validate({"backend": "onnxruntime"})
    assert serving(open_backend(bundle, config), bundle, config)() == Serving("onnxruntime", "fp32", "cpu")


@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_an_engine_is_named_from_when_it_serves_until_it_fails(tone_bundle: Path, precision: str) -> None:
    bundle, config = load_bundle(tone_bundle), Config.model_validate({"precision": precision})
    switched = SwitchedWindows(open_onnx(bundle))  # type: ignore[arg-type]
    now, engine = serving(switched, bundle, config), Engine()
    assert now().backend == "onnxruntime"
    switched.offer(engine)
    assert now() == Serving("tensorrt", "fp32", "cuda")
    engine.fails = True
    switched.score(np.zeros((1, 64, 128), np.float32))
    assert now() == Serving("onnxruntime", "fp32", "cpu")
