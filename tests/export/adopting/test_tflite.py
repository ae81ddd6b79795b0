"""TFLite graphs as ONNX: every operator that is translated computes what TFLite computes."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.errors import AsitEdgeError
from export.adopting.operators import BINARY, OTHERS, REDUCTIONS, UNARY
from export.adopting.tflite import read_tflite
from tests.conftest import require
from tests.export.adopting.tiny_tflite import OPTIONS, Operator, Value, constant, write_tflite

RNG = np.random.default_rng(0)
PICTURE = (1, 6, 5, 4)
WINDOW = {"padding": 0, "strideH": 2, "strideW": 1}
DILATED = {"padding": 1, "strideH": 1, "strideW": 1, "dilationHFactor": 2, "dilationWFactor": 1}


def numbers(*shape: int) -> Value:
    return constant(RNG.normal(size=shape).astype(np.float32))


def ints(*values: object) -> Value:
    return constant(np.array(values), "INT32")


Case = tuple[list[Value], list[Operator]]


def one(kind: str, given: tuple[int, ...], made: tuple[int, ...], *more: Value, **options: object) -> Case:
    """An operator on the input and constants."""
    return [Value(given), Value(made), *more], [Operator(kind, [0, *range(2, 2 + len(more))], 1, options)]


def spectrum() -> Case:
    values = [Value((3, 1, 16)), Value((3, 1, 9), "COMPLEX64"), ints(1, 16), Value((3, 1, 9))]
    return values, [Operator("RFFT2D", [0, 2], 1), Operator("COMPLEX_ABS", [1], 3)]


def split() -> Case:
    return [Value((2, 3)), Value((2, 3)), constant(1, "INT32")], [Operator("SPLIT", [2, 0], 1, {"numSplits": 1})]


CASES: dict[str, Case] = {
    **{
        kind: one(kind, (2, 3), (2, 3))
        for kind in UNARY
        if kind not in ("QUANTIZE", "DEQUANTIZE", "SQUEEZE", "RESHAPE")
    },
    "RESHAPE": one("RESHAPE", (2, 3), (3, 2), ints(3, 2)),
    "SQUEEZE": one("SQUEEZE", (1, 2, 3), (2, 3)),
    **{kind: one(kind, (2, 3), (2, 3), numbers(3)) for kind in BINARY},
    "ADD, then ReLU6": one("ADD", (2, 3), (2, 3), numbers(3), fusedActivationFunction=3),
    **{kind: one(kind, PICTURE, (1, 6, 4), ints(2)) for kind in REDUCTIONS},
    "MEAN of two axes, kept": one("MEAN", PICTURE, (1, 1, 1, 4), ints(1, 2), keepDims=True),
    "CONV_2D": one(
        "CONV_2D", PICTURE, (1, 3, 5, 8), numbers(8, 3, 3, 4), numbers(8), **WINDOW, fusedActivationFunction=1
    ),
    "CONV_2D, dilated": one("CONV_2D", PICTURE, (1, 2, 3, 8), numbers(8, 3, 3, 4), numbers(8), **DILATED),
    "DEPTHWISE_CONV_2D": one(
        "DEPTHWISE_CONV_2D", PICTURE, (1, 3, 5, 8), numbers(1, 3, 3, 8), numbers(8), **WINDOW, depthMultiplier=2
    ),
    "AVERAGE_POOL_2D": one("AVERAGE_POOL_2D", PICTURE, (1, 3, 5, 4), **WINDOW, filterHeight=2, filterWidth=3),
    "MAX_POOL_2D": one("MAX_POOL_2D", PICTURE, (1, 3, 5, 4), **WINDOW, filterHeight=2, filterWidth=3),
    "FULLY_CONNECTED": one("FULLY_CONNECTED", (2, 3), (2, 5), numbers(5, 3), numbers(5)),
    "GATHER": one("GATHER", (4, 3), (2, 3), ints(3, 1), axis=0),
    "PAD": one("PAD", (2, 3), (3, 6), ints([1, 0], [1, 2])),
    "STRIDED_SLICE": one(
        "STRIDED_SLICE", (4, 7), (3,), ints(1, 0), ints(2, 6), ints(1, 2), beginMask=2, endMask=0, shrinkAxisMask=1
    ),
    "TRANSPOSE": one("TRANSPOSE", (2, 3, 4), (4, 2, 3), ints(2, 0, 1)),
    "CONCATENATION": one("CONCATENATION", (2, 3), (2, 5), numbers(2, 2), axis=1),
    "SOFTMAX": one("SOFTMAX", (2, 3), (2, 3), beta=1.0),
    "SPLIT": split(),
    "COMPLEX_ABS": spectrum(),
}


@pytest.fixture(autouse=True)
def _litert() -> None:
    require(find_spec("ai_edge_litert") is not None, "ai-edge-litert")


def by_tflite(file: Path, given: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], given)
    interpreter.invoke()
    return np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def by_onnx(file: Path, given: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(read_tflite(file).SerializeToString(), providers=["CPUExecutionProvider"])
    return np.array(session.run(None, {session.get_inputs()[0].name: given})[0])


@pytest.mark.parametrize("name", CASES)
def test_an_operator_computes_the_same(name: str, tmp_path: Path) -> None:
    values, operators = CASES[name]
    file = write_tflite(tmp_path / "tiny.tflite", values, operators)
    given = RNG.uniform(0.1, 2, values[0].shape).astype(np.float32)
    expected = by_tflite(file, given)
    assert np.allclose(by_onnx(file, given), expected, atol=1e-5)
    assert expected.std() > 1e-3


def test_every_operator_that_is_translated_is_tried() -> None:
    tried = {operator.kind for _, operators in CASES.values() for operator in operators}
    assert {*UNARY, *BINARY, *REDUCTIONS, *OTHERS} - tried == {"QUANTIZE", "DEQUANTIZE"}  # by the test below
    assert set(OPTIONS) <= tried


def test_activations_of_8_bits_are_rounded_to_the_same_steps(tmp_path: Path) -> None:
    weights = Value((5, 3), "INT8", RNG.integers(-127, 128, (5, 3)).astype(np.int8), [0.01], [0])
    values = [
        Value((2, 3)),
        Value((2, 3), "INT8", None, [0.02], [3]),
        weights,
        Value((5,), "INT32", RNG.integers(-900, 900, 5).astype(np.int32), [0.0002], [0]),
        Value((2, 5), "INT8", None, [0.05], [-7]),
        Value((2, 5)),
    ]
    operators = [
        Operator("QUANTIZE", [0], 1),
        Operator("FULLY_CONNECTED", [1, 2, 3], 4),
        Operator("DEQUANTIZE", [4], 5),
    ]
    file = write_tflite(tmp_path / "tiny.tflite", values, operators)
    given = RNG.uniform(-4, 4, (2, 3)).astype(np.float32)  # some of it beyond what the steps reach
    expected = by_tflite(file, given)
    assert np.abs(by_onnx(file, given) - expected).max() < 1e-6
    assert np.abs(np.round(expected / 0.05) * 0.05 - expected).max() < 1e-6
    assert np.abs(given).max() > 2.54


def test_weights_of_8_bits_stay_stored_in_8_bits(tmp_path: Path) -> None:
    scales = RNG.uniform(0.01, 0.02, 8).astype(np.float32).tolist()
    weights = Value((1, 3, 3, 8), "INT8", RNG.integers(-127, 128, (1, 3, 3, 8)).astype(np.int8), scales, [0] * 8, 3)
    values = [
        Value(PICTURE),
        Value(PICTURE, "INT8", None, [0.02], [0]),
        weights,
        Value((8,), "INT32", np.zeros(8, np.int32), [0.02 * scale for scale in scales], [0] * 8),
        Value((1, 3, 5, 8), "INT8", None, [0.1], [0]),
        Value((1, 3, 5, 8)),
    ]
    operators = [
        Operator("QUANTIZE", [0], 1),
        Operator("DEPTHWISE_CONV_2D", [1, 2, 3], 4, {**WINDOW, "depthMultiplier": 2}),
        Operator("DEQUANTIZE", [4], 5),
    ]
    file = write_tflite(tmp_path / "tiny.tflite", values, operators)
    given = RNG.uniform(-2, 2, PICTURE).astype(np.float32)
    assert np.abs(by_onnx(file, given) - by_tflite(file, given)).max() < 0.1 + 1e-6  # a step, at its edge
    kinds = {tuple(one.dims): one.data_type for one in read_tflite(file).graph.initializer}
    assert kinds[(8, 1, 3, 3)] == 3  # INT8


def test_what_has_no_translation_is_named(tmp_path: Path) -> None:
    file = write_tflite(tmp_path / "tiny.tflite", *one("FLOOR", (2, 3), (2, 3)))
    with pytest.raises(AsitEdgeError, match=r"tiny\.tflite: cannot be translated to ONNX \(the operator FLOOR is not"):
        read_tflite(file)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A file to damage, and what was in it."""
    file = write_tflite(tmp_path_factory.mktemp("tflite") / "damaged.tflite", *CASES["CONV_2D"])
    return file, file.read_bytes()


@given(cut=st.integers(0, 2_000), flips=st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=3))
def test_a_damaged_file_is_read_or_refused(damaged: tuple[Path, bytes], cut: int, flips: list[tuple[int, int]]) -> None:
    file, whole = damaged
    content = bytearray(whole[:cut] if cut % 2 else whole)
    for place, byte in flips:
        if place < len(content):
            content[place] = byte
    file.write_bytes(content)
    try:
        read_tflite(file)
    except AsitEdgeError as error:
        assert str(error).startswith(f"{file}: ")
        assert "\n" not in str(error)
