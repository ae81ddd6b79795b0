"""A loudness model over waveforms, small enough to predict, and its declaration."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from asit_edge.cli.app import app

RATE, SAMPLES = 8_000, 800
BATCHES = ["batch", SAMPLES]
Shape = list[Any]


def asked(*arguments: str | Path) -> str:
    """What the command line prints."""
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def loudness(logits: bool = True, shape: Shape = BATCHES, labels: int = 2, twice: bool = False) -> onnx.ModelProto:
    """Logit 1000 times the power less 5, and its opposite. `twice`: a second output that could be meant."""
    last = len(shape) - 1
    batch = shape[0] if last else 1
    signs = np.resize(np.array([1, -1], np.float32), labels)
    nodes = [
        helper.make_node("Mul", ["waveform", "waveform"], ["squares"]),
        helper.make_node(
            "ReduceMean", ["squares"], ["power"], axes=list(range(1, last + 1)) if last else [0], keepdims=0
        ),
        helper.make_node("Reshape", ["power", "column"], ["powers"]),
        helper.make_node("Mul", ["powers", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["sum"]),
        helper.make_node("Identity" if logits else "Sigmoid", ["sum"], ["scores"]),
        helper.make_node("Neg", ["scores"], ["opposite"]),
    ]
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, labels])]
    if twice:
        outputs.append(helper.make_tensor_value_info("opposite", TensorProto.FLOAT, [batch, labels]))
    constants = {"slope": 1000 * signs, "bias": -5 * signs, "column": np.array([-1, 1], np.int64)}
    graph = helper.make_graph(
        nodes,
        "loudness",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, shape)],
        outputs,
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


DECLARED: dict[str, Any] = {
    "name": "loudness",
    "version": "1.0",
    "license": "MIT",
    "source": "somebody, https://example.org/loudness",
    "input": {"type": "waveform", "sample_rate": RATE, "samples": SAMPLES},
    "interval": 0.05,
    "output": "logits",
    "labels": ["Loud", "Quiet"],
    "thresholds": {"Quiet": [0.9, 0.8]},
}

Declare = Callable[..., Path]


@pytest.fixture
def declare(tmp_path: Path) -> Declare:
    """Writes the model and its declaration, with changes, and says where."""

    def write(model: onnx.ModelProto | None = None, model_file: str = "loudness.onnx", **changes: Any) -> Path:
        onnx.save(model or loudness(), tmp_path / "loudness.onnx")
        file = tmp_path / "loudness.yaml"
        file.write_text(yaml.safe_dump({**DECLARED, "model": model_file, **changes}), encoding="utf-8")
        return file

    return write
