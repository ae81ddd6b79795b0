"""Variants: every precision of both shapes passes its gate on real audio, or is not written, and the layer is named."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
import yaml
from onnx import helper, numpy_helper
from typer.testing import CliRunner

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import Bundle, load_bundle, sha256
from asit_edge.model.golden import GOLDEN, allowed_for, golden_deviation, golden_error
from bench.damage import zero_labels
from export import lowering
from export.audio import read_audio, samples_for
from export.golden.write import write_golden
from export.lowering import parse_limits, write_variants
from export.options import Lower
from export.parity import real_audio_parity
from export.precisions.calibration import calibration_inputs
from export.precisions.fp16 import to_fp16, widened
from export.precisions.gate import LIMITS
from export.precisions.graph import layer_names, linear_layers, load, session
from tests.conftest import ROOT
from tests.export.conftest import LENIENT, save_stream, save_window
from trainer.run.command import new_app


@pytest.fixture
def copy(plain_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain_bundle, tmp_path / "bundle"))


def test_a_bundle_gets_its_variants_with_what_they_lost(full_bundle: Path) -> None:
    bundle = load_bundle(full_bundle)
    assert bundle.precisions == ["fp32", "fp16", "int8"]
    for name, variant in bundle.manifest.variants.items():
        assert variant.gate.passed
        assert 0 < variant.gate.measured["max_error"] < 0.1
        assert variant.gate.measured.keys() == variant.gate.limits.keys()
        assert "6 recordings" in variant.gate.data
        assert variant.gate.worst_layer
        at = bundle.at(name)
        error = golden_error(at, open_classifier(at))
        assert 0 < error <= variant.golden_error + 0.02
    sizes = [bundle.at(precision).model_file.stat().st_size for precision in bundle.precisions]
    assert sizes[0] > 1.5 * sizes[1] > 1.5 * sizes[2]
    card = (full_bundle / "README.md").read_text(encoding="utf-8")
    assert "model.int8.onnx" in card


def test_half_is_half_throughout_and_layer_norm_stays_whole(full_bundle: Path) -> None:
    bundle = load_bundle(full_bundle)
    model = load(bundle.at("fp16").model_file)
    onnx.checker.check_model(model, full_check=True)
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds
    assert onnx.TensorProto.FLOAT not in kinds
    original = load(bundle.at("fp32").model_file)

    def count(which: onnx.ModelProto, kind: str) -> int:
        return sum(node.op_type == kind for node in which.graph.node)

    assert count(model, "LayerNormalization") == count(original, "LayerNormalization") > 0
    entries = [*model.graph.input, *model.graph.output]
    assert all(entry.type.tensor_type.elem_type == onnx.TensorProto.FLOAT for entry in entries)


def test_int8_touches_linear_layers_only_and_is_symmetric(full_bundle: Path) -> None:
    bundle = load_bundle(full_bundle)
    model, original = load(bundle.at("int8").model_file), load(bundle.at("fp32").model_file)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type.endswith("uantizeLinear") and len(node.input) > 2]
    assert pairs
    assert not any(values[node.input[2]].any() for node in pairs), "all zero points are zero"
    producers = {name: node for node in model.graph.node for name in node.output}
    quantised = {
        node.output[0]
        for node in model.graph.node
        if any(name in producers and producers[name].op_type == "DequantizeLinear" for name in node.input)
    }
    # A stream's embedding is the mean of what its heads are given, and those are given whole numbers.
    assert quantised - {"embedding"} == {node.output[0] for node in linear_layers(original)}
    assert not any("Integer" in node.op_type or "Dynamic" in node.op_type for node in model.graph.node)
    assert all(entry.version == 18 for entry in model.opset_import if entry.domain == "")


def test_layers_have_the_names_of_the_trained_model(plain_bundle: Path) -> None:
    names = set(layer_names(load(plain_bundle / "model.onnx")).values())
    assert {"blocks.0.attn.qkv", "blocks.1.mlp.fc2", "blocks.0.norm1", "norm", "blocks.0.attn Softmax"} <= names


def test_feeds_are_all_inputs_of_the_graph(plain_bundle: Path, clips: Path) -> None:
    bundle = load_bundle(plain_bundle)
    spec = bundle.manifest.front_end
    found = calibration_inputs(
        bundle, [samples_for(recording, spec) for recording in read_audio(clips, 100).judging], 5
    )
    assert len(found) == 5
    model = session(plain_bundle / "model.onnx")
    for feed in found:
        assert feed.keys() == {entry.name for entry in model.get_inputs()}
        assert np.isfinite(model.run(["scores"], dict(feed))[0]).all()
    assert all(np.abs(found[0][name] - found[3][name]).max() > 0 for name in found[0])


def change_layer(path: Path, layer: str, change: Callable[[np.ndarray], object]) -> None:
    """Changes the weights of a layer in a bundle's fp32 model, in place."""
    model = load(path / "model.onnx")
    names = layer_names(model)
    node = next(node for node in model.graph.node if names.get(node.output[0]) == layer)
    tensor = next(entry for entry in model.graph.initializer if entry.name == node.input[1])
    values = numpy_helper.to_array(tensor).copy()
    change(values)
    own = onnx.numpy_helper.from_array(values, f"{tensor.name}/own")  # equal tensors are shared in the file
    model.graph.initializer.append(own)
    node.input[1] = own.name
    onnx.save(model, path / "model.onnx")
    load_without_hashes(path)


def scale(factor: float, row: int | slice = slice(None)) -> Callable[[np.ndarray], object]:
    """Multiplies the weights, or one row of them."""

    def change(values: np.ndarray) -> None:
        values[row] *= factor

    return change


def load_without_hashes(path: Path) -> Bundle:
    """A bundle after its files were changed on purpose, with the hashes that they have now."""
    text = yaml.safe_load((path / "bundle.yaml").read_text(encoding="utf-8"))
    text["files"] = {name: sha256(path / name) for name in text["files"]}
    (path / "bundle.yaml").write_text(yaml.safe_dump(text, sort_keys=False), encoding="utf-8")
    return load_bundle(path)


def without_golden(path: Path) -> None:
    """The bundle as it would be without golden inputs."""
    (path / GOLDEN).unlink()
    text = yaml.safe_load((path / "bundle.yaml").read_text(encoding="utf-8"))
    del text["files"][GOLDEN]
    (path / "bundle.yaml").write_text(yaml.safe_dump(text, sort_keys=False), encoding="utf-8")


def test_an_overflow_in_fp16_is_found_and_the_layer_named(copy: Path, clips: Path) -> None:
    change_layer(copy, "blocks.1.mlp.fc1", scale(30_000.0))
    without_golden(copy)  # the layer is as it should be: this is a model that does not go into fp16
    before = {file.name: file.read_bytes() for file in copy.iterdir()}
    with pytest.raises(AsitEdgeError, match=r"(?s)fp16.*blocks\.1\.mlp\.fc1"):
        write_variants(copy, ["fp16"], read_audio(clips, 100), {}, force=False, unheard=True)
    assert before == {file.name: file.read_bytes() for file in copy.iterdir()}


def test_what_int8_loses_is_refused_and_the_layer_named(copy: Path, clips: Path) -> None:
    """One input of a layer is made 300 times smaller and its weights as much larger: nothing changes in float32, but
    those weights take all the steps of int8, and none is left for the others."""
    before = open_classifier(load_bundle(copy))
    change_layer(copy, "blocks.1.norm2", scale(1 / 300, 0))
    change_layer(copy, "blocks.1.mlp.fc1", scale(300, 0))
    assert golden_error(load_bundle(copy), before) < 1e-4
    with pytest.raises(AsitEdgeError) as refused:
        write_variants(copy, ["int8"], read_audio(clips, 100), {}, force=False)
    assert "not written" in str(refused.value)
    assert "int8: FAILED" in str(refused.value)
    assert "<- beyond its limit" in str(refused.value)
    assert "lost most, each for itself: blocks.1.mlp.fc1" in str(refused.value)
    assert load_bundle(copy).precisions == ["fp32"]
    write_variants(copy, ["int8"], read_audio(clips, 100), {}, force=True)
    forced = load_bundle(copy).manifest.variants["int8"]
    assert not forced.gate.passed
    assert forced.gate.worst_layer.startswith("blocks.1.mlp.fc1")


def test_rounding_is_measured_that_onnx_runtime_leaves_out() -> None:
    """100 * 300 * 4 is beyond float16, and a GPU would say so; ONNX Runtime's CPU kernels compute in float32."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Mul", ["y", "s"], ["z"])]
    weights = numpy_helper.from_array(np.full((4, 4), 300, np.float32), "w")
    small = numpy_helper.from_array(np.float32(1 / 1024), "s")
    graph = helper.make_graph(
        nodes,
        "overflow",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [1, 4])],
        [weights, small],
    )
    model = to_fp16(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10))
    onnx.checker.check_model(model, full_check=True)
    feed = {"x": np.full((1, 4), 100, np.float32)}
    assert np.isfinite(session(model).run(None, feed)[0]).all()
    assert not np.isfinite(session(widened(model)).run(None, feed)[0]).any()
    fine = {"x": np.full((1, 4), 1.2345, np.float32)}
    assert session(widened(model)).run(None, fine)[0][0, 0] == np.float16(np.float16(1.2345) * 1200) / 1024


def test_the_one_that_passes_is_written_though_the_other_fails(copy: Path, clips: Path) -> None:
    with pytest.raises(AsitEdgeError, match="int8: FAILED"):
        write_variants(
            copy,
            ["fp16", "int8"],
            read_audio(clips, 100),
            {**LENIENT, "max_error": 1e-2, "relative_error": 3e-3},
            False,
        )
    assert load_bundle(copy).precisions == ["fp32", "fp16"]


def test_a_weight_that_does_not_fit_half_is_named(copy: Path) -> None:
    change_layer(copy, "blocks.1.attn.qkv", scale(1e7))
    with pytest.raises(AsitEdgeError, match=r"reach .*, and float16 ends at 65504"):
        to_fp16(load(copy / "model.onnx"))


def test_labelled_audio_adds_accuracy(full_bundle: Path, clips: Path, tmp_path: Path) -> None:
    """The ESC-50 layout: the first fold calibrates, the others judge."""
    data = tmp_path / "esc"
    (data / "meta").mkdir(parents=True)
    shutil.copytree(clips, data / "audio")
    rows = ["filename,fold,category"]
    rows += [f"{index}.flac,{1 + index // 3},{('dog', 'rain', 'sneezing')[index % 3]}" for index in range(8)]
    (data / "meta" / "esc50.csv").write_text("\n".join(rows) + "\n")
    audio = read_audio(data, 100)
    assert [recording.path.stem for recording in audio.calibrating] == ["0", "1", "2"]
    path = Path(shutil.copytree(full_bundle, tmp_path / "bundle"))
    made = write_variants(path, ["fp16"], audio, LENIENT, force=False)[0]
    assert {"accuracy_loss", "map_loss"} <= made.gate.measured.keys()
    assert load_bundle(path).precisions == ["fp32", "int8", "fp16"] or load_bundle(path).precisions == [
        "fp32",
        "fp16",
        "int8",
    ]


def test_too_little_audio_is_wrong_use(tmp_path: Path, clips: Path) -> None:
    with pytest.raises(WrongUse, match="no audio"):
        read_audio(tmp_path, 100)
    with pytest.raises(WrongUse, match="need more"):
        read_audio(clips, 3)


@pytest.mark.parametrize("text", ["max_error", "max_error=much", "max_eror=0.1", "max_error=nan"])
def test_a_wrong_limit_is_explained(text: str) -> None:
    with pytest.raises(WrongUse, match="--limit"):
        parse_limits([text])


def test_the_command_reports_in_json(copy: Path, clips: Path) -> None:
    from export.variants import main

    app = new_app()
    app.command()(main)
    result = CliRunner().invoke(app, [str(copy), "--data", str(clips), "--precision", "fp16", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    assert report["precision"] == "fp16"
    assert report["layers"].keys() == set(layer_names(load(copy / "model.onnx")).values())


def test_a_checkpoint_becomes_a_bundle_with_variants_in_one_go(
    stream_checkpoint: Path, clips: Path, tmp_path: Path
) -> None:
    from export.bundle import main

    app = new_app()
    app.command()(main)
    arguments = [str(stream_checkpoint), str(tmp_path / "out"), "--data", str(clips), "--precision", "fp16"]
    arguments += ["--golden-tries", "64", "--unheard"]
    result = CliRunner().invoke(app, [*arguments, "--limit", "top1_change=0.3", "--limit", "event_change=0.3"])
    assert result.exit_code == 0, result.output
    assert "fp16: passed" in result.output
    assert load_bundle(tmp_path / "out").precisions == ["fp32", "fp16"]


def test_another_checkpoint_is_noticed_on_real_audio(plain_bundle: Path, clips: Path, tmp_path: Path) -> None:
    """The bundle of one checkpoint against another: torch and ONNX Runtime hear the same recordings differently."""
    save = save_window if plain_bundle.name == "window" else save_stream
    same, other = save(tmp_path / "same.pt"), save(tmp_path / "other.pt", seed=1)
    audio = read_audio(clips, 100)
    assert real_audio_parity(same, load_bundle(plain_bundle), audio) < 1e-4
    with pytest.raises(AsitEdgeError, match="on real audio the ONNX model does not compute what the checkpoint does"):
        real_audio_parity(other, load_bundle(plain_bundle), audio)


def test_the_bare_model_can_have_a_fixed_batch(window_checkpoint: Path, tmp_path: Path) -> None:
    from export.onnx import main

    app = new_app()
    app.command()(main)
    result = CliRunner().invoke(app, [str(window_checkpoint), str(tmp_path / "static.onnx"), "--batch", "2"])
    assert result.exit_code == 0, result.output
    model = session(tmp_path / "static.onnx")
    assert model.get_inputs()[0].shape == [2, 64, 128]
    assert model.run(None, {"log_mel": np.zeros((2, 64, 128), np.float32)})[0].shape == (2, 3)


def silent(folder: Path, count: int = 8) -> Path:
    folder.mkdir()
    for index in range(count):
        soundfile.write(folder / f"{index}.flac", np.zeros(48_000, np.float32), 16_000)
    return folder


def test_digital_silence_judges_nothing(copy: Path, tmp_path: Path) -> None:
    before = (copy / "bundle.yaml").read_bytes()
    with pytest.raises(WrongUse, match=r"--data silence: (labels are active in|to the model) .* so it judges nothing"):
        write_variants(copy, ["fp16"], read_audio(silent(tmp_path / "silence"), 100), {}, force=True, unheard=True)
    assert (copy / "bundle.yaml").read_bytes() == before


def test_labels_that_nothing_makes_active_are_named_and_recorded(copy: Path, clips: Path) -> None:
    """A threshold that no sound reaches, and no golden inputs that do."""
    text = yaml.safe_load((copy / "bundle.yaml").read_text(encoding="utf-8"))
    text["labels"][1]["on_threshold"] = 0.999999
    text["labels"][2].update(on_threshold=0.05, off_threshold=0.04)
    (copy / "bundle.yaml").write_text(yaml.safe_dump(text, sort_keys=False), encoding="utf-8")
    audio = read_audio(clips, 100)
    with pytest.raises(WrongUse, match=r"1 of 3 labels are active neither in it .*: Rain\. .*--unheard"):
        write_variants(copy, ["fp16"], audio, LENIENT, force=False)
    made = write_variants(copy, ["fp16"], audio, LENIENT, force=False, unheard=True)
    assert made[0].gate.unchecked == ["Rain"]
    assert load_bundle(copy).manifest.variants["fp16"].gate.unchecked == ["Rain"]
    assert "never active, so not checked: Rain" in made[0].report()


@pytest.mark.parametrize("label", range(3))
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_gate_refuses_a_variant_in_which_a_label_is_dead(
    copy: Path, clips: Path, precision: Lower, label: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something in the conversion loses a label: its logit is the same for every sound, and no probability need be far
    from what it was."""
    bundle, rng = load_bundle(copy), np.random.default_rng(0)
    if precision == "fp16":
        to_half = lowering.to_fp16

        def half(model: onnx.ModelProto) -> onnx.ModelProto:
            zero_labels(model, bundle, rng, [label])
            return to_half(model)

        monkeypatch.setattr(lowering, "to_fp16", half)
    else:
        to_eight = lowering.to_int8

        def eight(source: Path, inputs: Any, out: Path, keep: Any) -> None:
            to_eight(source, inputs, out, keep)
            model = onnx.load(str(out))
            zero_labels(model, bundle, rng, [label])
            onnx.save(model, str(out))

        monkeypatch.setattr(lowering, "to_int8", eight)
    lenient = {name: 1e9 for name in LIMITS[precision] if name != "label_error"}
    with pytest.raises(AsitEdgeError, match=r"(?s)FAILED.*label_error .*<- beyond its limit"):
        write_variants(copy, [precision], read_audio(clips, 100), lenient, force=False)
    assert load_bundle(copy).precisions == ["fp32"]


def test_a_damaged_model_gets_no_variants_and_no_golden_inputs(copy: Path, clips: Path) -> None:
    model = load(copy / "model.onnx")
    zero_labels(model, load_bundle(copy), np.random.default_rng(0), [0])
    onnx.save(model, copy / "model.onnx")
    load_without_hashes(copy)
    for attempt in (
        lambda: write_variants(copy, ["fp16"], read_audio(clips, 100), LENIENT, force=True),
        lambda: write_golden(copy, 0),
    ):
        with pytest.raises(AsitEdgeError, match=r"Dog strays by .*; it is damaged, and nothing is made from it"):
            attempt()


def test_golden_inputs_are_made_anew_with_the_variants_still_right(full_bundle: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(full_bundle, tmp_path / "bundle"))
    made = write_golden(path, 64)
    bundle = load_bundle(path)
    for precision in bundle.precisions:
        found = golden_deviation(bundle.at(precision), open_classifier(bundle.at(precision)))
        assert found.within(allowed_for(bundle, precision))
    assert made.bytes == (path / GOLDEN).stat().st_size
    assert {*made.active, *made.unchecked} == {"Dog", "Rain", "Sneeze"}


def test_what_was_written_is_said_where_another_is_refused(copy: Path, clips: Path) -> None:
    limits = {**LENIENT, "max_error": 1e-2, "relative_error": 3e-3}
    with pytest.raises(AsitEdgeError, match=r"(?s)fp16 written, int8 not written; --force.*fp16: passed.*int8: FAILED"):
        write_variants(copy, ["fp16", "int8"], read_audio(clips, 100), limits, False)
    assert load_bundle(copy).precisions == ["fp32", "fp16"]


def test_a_text_file_is_no_model_and_that_is_said(copy: Path, clips: Path) -> None:
    (copy / "model.onnx").write_text("version https://git-lfs.github.com/spec/v1\n")
    load_without_hashes(copy)
    with pytest.raises(AsitEdgeError, match=r"model\.onnx: ONNX Runtime cannot load it"):
        write_variants(copy, ["fp16"], read_audio(clips, 100), LENIENT, False)
    with pytest.raises(AsitEdgeError, match=r"model\.onnx: is not an ONNX model"):
        load(copy / "model.onnx")


def test_without_onnx_the_command_says_what_to_install(tmp_path: Path) -> None:
    """As on a machine with what a device needs and nothing else."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('onnx', 'torch'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    result = subprocess.run(
        [sys.executable, "-m", "export.variants", "bundle", "--data", "audio"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "export.variants: error: the Python package onnx is missing" in result.stderr
    assert "asit-edge[export]" in result.stderr
