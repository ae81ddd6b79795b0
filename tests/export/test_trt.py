"""Engines: everything that can be known without a GPU, from TensorRT-RTX's parser and builder and our own fakes."""

import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from typer.testing import CliRunner

from asit_edge.errors import AsitEdgeError
from asit_edge.model.backends.build import key_here
from asit_edge.model.backends.engine import EngineCache, Options, read_plan
from asit_edge.model.backends.tensorrt import installed
from asit_edge.model.backends.weights import settle_weights
from asit_edge.model.bundle import Bundle, bundled, load_bundle
from asit_edge.model.variant import Precision
from export import trt
from export.conversion import fix_batch
from export.precisions.graph import load
from export.precisions.left_out import make_left_out
from export.trt_api import Use, missing, uses
from tests.conftest import require
from tests.model.backends.fake_gpu import FakeTensorRT, HostCuda
from trainer.run.command import new_app

SHIPPED = [(name, one) for name, path in bundled().items() for one in ("fp32", *load_bundle(path).manifest.variants)]

app = new_app()
app.command()(trt.main)


@pytest.fixture
def rtx() -> None:
    require(find_spec("tensorrt_rtx") is not None, "TensorRT-RTX (pip install 'asit-edge[rtx]')")


@pytest.mark.usefixtures("rtx")
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_precision_of_both_shapes_is_parsed_and_built(full_bundle: Path, precision: Precision) -> None:
    seen: list[tuple[str, int, int]] = []
    file = load_bundle(full_bundle).at(precision).model_file
    plan = installed("tensorrt_rtx").build(
        file, Options(precision=precision, batch=4), None, lambda *progress: seen.append(progress)
    )
    assert len(plan) > 100_000
    assert any(phase == "Building engine" for phase, _, _ in seen)


@pytest.mark.usefixtures("rtx")
@pytest.mark.parametrize(("name", "precision"), SHIPPED)
def test_every_shipped_precision_is_built(name: str, precision: Precision, tmp_path: Path) -> None:
    path = Path(shutil.copytree(bundled()[name], tmp_path / name))
    make_left_out(path)
    file = load_bundle(path).at(precision).model_file
    assert len(installed("tensorrt_rtx").build(file, Options(precision=precision, batch=2), None, None)) > 1_000_000


@pytest.mark.usefixtures("rtx")
@pytest.mark.parametrize("name", bundled())
def test_weights_in_8_bits_are_widened_before_anything_is_built(name: str) -> None:
    """No DequantizeLinear is left that TensorRT would have to compute, and the weights are those of the file."""
    api = installed("tensorrt_rtx").module
    file = load_bundle(bundled()[name]).at("fp32").model_file
    logger = api.Logger(api.Logger.ERROR)
    builder = api.Builder(logger)
    network = builder.create_network(1 << int(api.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = api.OnnxParser(network, logger)
    assert parser.parse_from_file(str(file))
    widened = settle_weights(api, network, file, "fp32")
    exact = [numpy_helper.to_array(tensor) for tensor in load(file).graph.initializer]
    assert len(widened) > 20
    for values in widened:
        assert any(one.shape == values.shape and np.array_equal(one, values) for one in exact)
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    left = {one.get_output(0).name for one in layers if one.type == api.LayerType.DEQUANTIZE}
    used = {one.get_input(index).name for one in layers for index in range(one.num_inputs) if one.get_input(index)}
    assert not left & used


@pytest.mark.usefixtures("rtx")
def test_int8_of_weights_alone_is_refused_with_the_reason() -> None:
    file = load_bundle(bundled()["asit-stream-nano"]).at("fp32").model_file  # its weights are stored in 8 bits
    with pytest.raises(AsitEdgeError, match=r"only the weights of .* are quantised, .*export\.variants"):
        installed("tensorrt_rtx").build(file, Options(precision="int8"), None, None)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_variants_keep_nothing_that_an_orin_cannot_build(full_bundle: Path, precision: Precision) -> None:
    """fp16 has no DequantizeLinear at all; in int8 what is multiplied is quantised on both sides."""
    model = onnx.load(str(load_bundle(full_bundle).at(precision).model_file))
    makers = {name: node for node in model.graph.node for name in node.output}
    count = sum(node.op_type == "DequantizeLinear" for node in model.graph.node)
    assert (count == 0) is (precision == "fp16")
    for node in model.graph.node:
        if node.op_type in ("MatMul", "Gemm"):
            kinds = [makers[name].op_type == "DequantizeLinear" for name in node.input[:2] if name in makers]
            assert len(set(kinds)) <= 1


def test_an_opset_that_no_jetson_reads_is_refused(plain_bundle: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(plain_bundle, tmp_path / "bundle"))
    model = onnx.load(str(path / "model.onnx"))
    model.opset_import[0].version = 22
    onnx.save(model, path / "model.onnx")
    bundle = Bundle(path, load_bundle(plain_bundle).manifest)
    with pytest.raises(AsitEdgeError, match=r"model\.onnx: opset 22; TensorRT 10\.3 .* reads 9 to 20"):
        trt.check(bundle, [Options(precision="fp32")])


@pytest.mark.usefixtures("rtx")
def test_a_batch_of_one_can_be_built_too(full_bundle: Path) -> None:
    file = load_bundle(full_bundle).at("fp16").model_file
    assert installed("tensorrt_rtx").build(file, Options(), None, None)


@pytest.mark.usefixtures("rtx")
def test_a_fixed_batch_is_built_as_it_is(plain_bundle: Path, tmp_path: Path) -> None:
    model = load(plain_bundle / "model.onnx")
    fix_batch(model, 2)
    onnx.save(model, tmp_path / "static.onnx")
    rtx = installed("tensorrt_rtx")
    assert rtx.build(tmp_path / "static.onnx", Options(precision="fp32", batch=2), None, None)
    with pytest.raises(AsitEdgeError, match="its batch is fixed at 2, so it cannot be built for 4"):
        rtx.build(tmp_path / "static.onnx", Options(precision="fp32", batch=4), None, None)


@pytest.mark.usefixtures("rtx")
def test_onnx_runtimes_dynamic_int8_is_refused_in_clear_words(plain_bundle: Path, tmp_path: Path) -> None:
    quantize_dynamic(plain_bundle / "model.onnx", tmp_path / "dynamic.onnx", weight_type=QuantType.QInt8)
    with pytest.raises(AsitEdgeError, match=r"quantised dynamically \(DynamicQuantizeLinear.*export\.variants"):
        installed("tensorrt_rtx").build(tmp_path / "dynamic.onnx", Options(), None, None)


@pytest.mark.usefixtures("rtx")
def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(AsitEdgeError, match=r"model\.onnx: TensorRT .* cannot read it: "):
        installed("tensorrt_rtx").build(tmp_path / "model.onnx", Options(), None, None)


@pytest.mark.usefixtures("rtx")
@pytest.mark.skipif(os.path.exists("/dev/nvidia0"), reason="this machine has a GPU")
def test_a_runtime_without_a_gpu_says_so_and_lives(full_bundle: Path) -> None:
    rtx = installed("tensorrt_rtx")
    plan = rtx.build(load_bundle(full_bundle).at("fp16").model_file, Options(), None, None)
    with pytest.raises(AsitEdgeError, match="TensorRT .* (does not load the engine|finds no usable GPU)"):
        rtx.load(plan)


@pytest.mark.usefixtures("rtx")
def test_check_says_what_is_right_and_what_is_missing(full_bundle: Path) -> None:
    result = CliRunner().invoke(app, [str(full_bundle), "--check", "--batch", "2"])
    assert result.exit_code == 0, result.output
    assert "has everything that we call" in result.output
    for name in ("model.onnx", "model.fp16.onnx", "model.int8.onnx"):
        assert f"{name}: parsed and built" in result.output
    if find_spec("tensorrt") is None:
        assert "no engine can be built here, TensorRT: TensorRT is not installed" in result.output


@pytest.mark.skipif(find_spec("tensorrt") is not None, reason="TensorRT is installed")
def test_without_tensorrt_it_says_what_to_install(full_bundle: Path) -> None:
    result = CliRunner().invoke(app, [str(full_bundle)])
    assert isinstance(result.exception, AsitEdgeError)
    assert "sudo apt install nvidia-jetpack" in str(result.exception)
    assert "asit-edge[trt]" in str(result.exception)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_an_engine_is_built_verified_measured_and_kept(
    full_bundle: Path, precision: Precision, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cuda, bundle, cache = HostCuda(), load_bundle(full_bundle), EngineCache(tmp_path)
    tensorrt = FakeTensorRT(cuda)
    options = Options(precision=precision, batch=3, best_batch=3)
    file = trt.build(tensorrt, cuda, bundle, options, cache, None, seconds=0.0)
    key = key_here(tensorrt, cuda, bundle, options)
    assert cache.read(bundle.manifest, key) == file.read_bytes()
    side_car = json.loads(file.with_suffix(".json").read_text())
    assert side_car["verified"]["error"] < 1e-5
    assert [row["batch"] for row in side_car["benchmark"]] == [1, 3]
    printed = capsys.readouterr().out
    assert "batch 3: p50" in printed
    assert "times real time" in printed


def test_an_engine_can_be_written_elsewhere(full_bundle: Path, tmp_path: Path) -> None:
    cuda, bundle = HostCuda(), load_bundle(full_bundle)
    tensorrt, options = FakeTensorRT(cuda), Options()
    out = tmp_path / "here" / "model.plan"
    trt.build(tensorrt, cuda, bundle, options, EngineCache(tmp_path / "cache"), out, seconds=0.0)
    assert read_plan(out, key_here(tensorrt, cuda, bundle, options)) == out.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "fp8"], "must be auto, fp16, int8 or fp32"),
        (["--out", "engine"], "must end in .plan"),
    ],
)
def test_wrong_use_is_explained(full_bundle: Path, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, [str(full_bundle), *arguments])
    assert message in str(result.exception)


def test_what_we_use_of_tensorrt_is_read_from_our_source() -> None:
    found = {str(use) for use in uses()}
    assert {
        "Builder.build_serialized_network",
        "NetworkDefinitionCreationFlag.STRONGLY_TYPED",
        "IBuilderConfig.set_timing_cache",
        "IExecutionContext.execute_async_v3",
        "ICudaEngine.device_memory_size_v2",
        "Runtime.deserialize_cuda_engine",
        "ParserError.node_operator",
    } <= found
    gone = ("FP16", "INT8", "BF16", "EXPLICIT_BATCH", "device_memory_size", "IInt8Calibrator")
    assert not {name.rpartition(".")[2] for name in found} & set(gone)


@pytest.mark.usefixtures("rtx")
def test_the_check_finds_what_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself can fail: names, places and arguments that this TensorRT does not have."""
    module = installed("tensorrt_rtx").module
    assert missing(module) == []
    wrong = [
        Use("BuilderFlag", "FP61"),
        Use("IBuilderConfigs", "flags"),
        Use("IBuilderConfig", "set_memory_pool_limit", 3),
        Use("IBuilderConfig", "set_timing_cache", 1, ("ignore_mistake",)),
        Use("", "Runtime", 4),
    ]
    monkeypatch.setattr("export.trt_api.uses", lambda: wrong)
    problems = missing(module)
    assert len(problems) == len(wrong)
    assert "takes (" in problems[2]
