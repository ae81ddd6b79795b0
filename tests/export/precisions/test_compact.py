"""Compact bundles: half the file, the same numbers, and everything that reads models reads them."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from asit_edge.errors import AsitEdgeError
from asit_edge.model.backends.engine import Options
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.backends.tensorrt import installed
from asit_edge.model.bundle import load_bundle
from asit_edge.model.golden import golden_error
from export.audio import read_audio
from export.bundling import write_bundle
from export.lowering import write_variants
from export.precisions.compact import SMALLEST, pack, round_weights, unpack
from export.precisions.graph import layer_names, linear_layers, load, session
from tests.export.conftest import LENIENT


def product(weights: np.ndarray) -> onnx.ModelProto:
    rows, columns = weights.shape
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, columns])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@given(seed=st.integers(0, 2**31), scale=st.sampled_from([1e-9, 1e-3, 1.0, 1e4, 1e9]), exact=st.booleans())
def test_packing_changes_no_value(seed: int, scale: float, exact: bool) -> None:
    weights = (scale * np.random.default_rng(seed).normal(size=(20, 30))).astype(np.float32)
    if exact:
        weights = weights.clip(-6e4, 6e4).astype(np.float16).astype(np.float32)
    model = product(weights)
    packed = pack(model)
    fits = np.array_equal(weights.clip(-6e4, 6e4).astype(np.float16).astype(np.float32), weights)
    assert (packed.ByteSize() < 0.7 * model.ByteSize()) == fits
    x = np.ones((1, 20), np.float32)
    assert np.array_equal(session(model).run(None, {"x": x})[0], session(packed).run(None, {"x": x})[0])
    again = unpack(packed)
    assert np.array_equal(numpy_helper.to_array(again.graph.initializer[0]), weights)
    assert [node.op_type for node in again.graph.node] == ["MatMul"]


@given(
    seed=st.integers(0, 2**31),
    scale=st.sampled_from([1e-30, 1e-6, 1.0, 1e20]),
    shape=st.sampled_from([(20, 30), (10, 60), (40, 2, 3, 3)]),
    transposed=st.booleans(),
)
def test_whole_numbers_of_steps_are_held_in_8_bits(
    seed: int, scale: float, shape: tuple[int, ...], transposed: bool
) -> None:
    rng = np.random.default_rng(seed)
    weights = (scale * rng.normal(size=shape) * rng.uniform(0, 1, (shape[0], *[1] * (len(shape) - 1)))).astype(
        np.float32
    )
    weights[0] = 0
    layer = torch.nn.Conv2d(1, 1, 1) if len(shape) == 4 else torch.nn.Linear(1, 1)
    layer.weight.data = torch.from_numpy(weights.copy())
    round_weights(layer, 8)
    rounded = layer.weight.detach().numpy()
    largest = np.abs(weights).reshape(shape[0], -1).max(axis=1)
    error = np.abs(rounded - weights).reshape(shape[0], -1).max(axis=1)
    assert (error <= 0.501 * largest / 127 * (1 + 2**-11)).all()
    stored = rounded.reshape(shape[0], -1)
    model = product(np.ascontiguousarray(stored.T) if transposed else stored)
    packed = pack(model)
    assert packed.graph.initializer[0].data_type == TensorProto.INT8
    assert packed.ByteSize() < 0.6 * model.ByteSize()
    x = np.ones((1, stored.shape[0 if not transposed else 1]), np.float32)
    ours, theirs = (session(each).run(None, {"x": x})[0] for each in (model, packed))
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(stored).sum()  # it may sum in another order
    again = unpack(packed)
    assert np.array_equal(numpy_helper.to_array(again.graph.initializer[0]), stored.T if transposed else stored)
    assert len(again.graph.initializer) == len(again.graph.node) == 1


def test_with_8_bits_all_but_layers_is_float16() -> None:
    norm = torch.nn.LayerNorm(SMALLEST)
    torch.nn.init.normal_(norm.weight)
    round_weights(norm, 8)
    assert torch.equal(norm.weight, norm.weight.half().float())


def test_small_tensors_and_other_types_stay() -> None:
    model = product(np.ones((1, SMALLEST - 1), np.float32))
    model.graph.initializer.append(numpy_helper.from_array(np.arange(SMALLEST), "numbers"))
    assert pack(model) == model


def test_rounded_weights_are_what_float16_holds() -> None:
    layer = torch.nn.Linear(3, 4)
    round_weights(layer)
    assert torch.equal(layer.weight, layer.weight.half().float())
    assert layer.weight.dtype == torch.float32


@pytest.fixture(scope="module")
def whole(window_checkpoint: Path, stream_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle of either shape."""
    folder = tmp_path_factory.mktemp("whole")
    for kind, checkpoint in (("window", window_checkpoint), ("stream", stream_checkpoint)):
        write_bundle(checkpoint, folder / kind, "small", "1", "MIT", {}, 0.5, 0.3)
    return folder


@pytest.fixture(scope="module", params=[("window", 16), ("stream", 16), ("window", 8), ("stream", 8)])
def pair(request: pytest.FixtureRequest, whole: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same checkpoint as a bundle and as a compact one; to be read only."""
    kind, bits = request.param
    compact = tmp_path_factory.mktemp("compact") / "bundle"
    checkpoint = request.getfixturevalue(f"{kind}_checkpoint")
    write_bundle(checkpoint, compact, "small", "1", "MIT", {}, 0.5, 0.3, compact=bits)
    return whole / kind, compact


def test_a_compact_bundle_is_smaller_and_has_the_same_layers(pair: tuple[Path, Path]) -> None:
    whole, compact = (load_bundle(path) for path in pair)
    assert compact.model_file.stat().st_size < 0.75 * whole.model_file.stat().st_size
    assert golden_error(compact, open_classifier(compact)) < 1e-4
    ours, theirs = load(compact.model_file), load(whole.model_file)
    assert layer_names(ours) == layer_names(theirs)
    assert len(linear_layers(ours)) == len(linear_layers(theirs)) > 0


def test_a_compact_bundle_gets_variants_and_engines(pair: tuple[Path, Path], clips: Path, tmp_path: Path) -> None:
    compact = Path(shutil.copytree(pair[1], tmp_path / "compact"))
    write_variants(compact, ["fp16", "int8"], read_audio(clips, 100), LENIENT, force=False, unheard=True)
    bundle = load_bundle(compact)
    assert set(bundle.manifest.variants) == {"fp16", "int8"}
    assert sum(node.op_type == "QuantizeLinear" for node in load(bundle.at("int8").model_file).graph.node) > 0
    if find_spec("tensorrt_rtx") is not None:
        assert installed("tensorrt_rtx").build(bundle.model_file, Options(precision="fp32"), None, None)


def test_what_rounding_changes_on_real_audio_is_judged(
    window_checkpoint: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = read_audio(clips, 100)
    out = tmp_path / "compact"
    write_bundle(window_checkpoint, out, "small", "1", "MIT", {}, 0.5, 0.3, audio, compact=16)
    monkeypatch.setattr("export.bundling.ROUNDING", {16: 1e-9})
    with pytest.raises(AsitEdgeError, match="on real audio the ONNX model does not compute what the checkpoint does"):
        write_bundle(window_checkpoint, out, "small", "1", "MIT", {}, 0.5, 0.3, audio, compact=16)
