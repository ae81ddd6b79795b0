"""A variant whose file does not travel: recorded with its gate and its hash, and made on the device, to the byte."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import yaml
from typer.testing import CliRunner

from asit_edge.cli.app import app as edge
from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.backends.choice import engine_precision
from asit_edge.model.backends.inspection import describe, verify
from asit_edge.model.bundle import MANIFEST, bundled, load_bundle, sha256
from export.audio import read_audio
from export.lowering import write_variants
from export.precisions import left_out as module
from export.precisions.graph import kept_nodes, linear_layers, load
from export.precisions.left_out import make_left_out
from tests.conftest import ROOT
from tests.export.conftest import LENIENT

MOST = 16_000_000
"""Bytes of all bundles of the package, with every variant that they ship."""


def test_all_shipped_bundles_with_their_variants_are_small() -> None:
    sizes = {}
    for name, path in bundled().items():
        bundle = load_bundle(path)
        listed = [path / one for one in (*bundle.manifest.files, MANIFEST, "README.md")]
        sizes[name] = sum(file.stat().st_size for file in listed)
    assert sum(sizes.values()) <= MOST, sizes


@pytest.fixture(params=bundled())
def shipped(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A shipped bundle as a device has it: without what is made there."""
    path = Path(shutil.copytree(bundled()[request.param], tmp_path / request.param))
    for one in load_bundle(path).manifest.variants.values():
        if one.sha256:
            (path / one.file).unlink(missing_ok=True)
    return path


NOTHING_BUT_ONNX = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchaudio", "onnxscript", "sklearn", "scipy", "tqdm", "matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
"""
"""A machine with what a device needs, and onnx."""


def test_a_shipped_bundle_gets_its_fp16_on_the_device_with_one_command(shipped: Path, tmp_path: Path) -> None:
    """The very file that the gate has judged, without a DequantizeLinear, which an Orin would not build; an engine is
    made of it from then on."""
    before = load_bundle(shipped)
    recorded = before.manifest.variants["fp16"]
    assert recorded.gate.passed
    assert "fp16" not in before.precisions
    assert engine_precision(before, Config()) == "fp32"
    (tmp_path / "sitecustomize.py").write_text(NOTHING_BUT_ONNX)
    done = subprocess.run(
        [sys.executable, "-m", "export.variants", str(shipped)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"{shipped}: made fp16\n"), done.stderr
    bundle = load_bundle(shipped)
    assert engine_precision(bundle, Config()) == "fp16"
    file = bundle.at("fp16").model_file
    assert sha256(file) == recorded.sha256
    assert file.stat().st_mode & 0o444 == 0o444  # also for a service's user
    kinds = {node.op_type for node in onnx.load(str(file)).graph.node}
    assert not {"DequantizeLinear", "QuantizeLinear"} & kinds
    assert [one.state for one in verify(bundle, Config(backend="onnxruntime"))] == ["ok"] * len(bundle.precisions)
    assert make_left_out(shipped) == []


def test_what_is_not_made_yet_is_absent_and_how_to_make_it_is_said(shipped: Path) -> None:
    command = f"python -m export.variants {shipped}"
    bundle = load_bundle(shipped)
    [absent] = [one for one in verify(bundle, Config(backend="auto")) if one.state == "absent" and one.backend == "-"]
    assert (absent.precision, absent.problem) == ("fp16", f"its fp16 model is made on the device: {command}")
    assert describe(bundle, Config())["variants"]["fp16"]["missing"] == absent.problem
    with pytest.raises(WrongUse, match=r"its fp16 model is made on the device: python -m export\.variants"):
        bundle.at("fp16")
    shown = CliRunner().invoke(edge, ["model", "info", str(shipped)])
    assert f"  not here: its fp16 model is made on the device: {command}" in shown.output
    verified = CliRunner().invoke(edge, ["model", "verify", str(shipped)])
    assert verified.exit_code == 0, verified.output
    assert f"absent -            fp16  its fp16 model is made on the device: {command}" in verified.output


@pytest.fixture(scope="module")
def once(plain_bundle: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = Path(shutil.copytree(plain_bundle, tmp_path_factory.mktemp("left_out") / "bundle"))
    write_variants(path, ["fp16", "int8"], read_audio(clips, 100), LENIENT, force=False, leave_out=True)
    return path


@pytest.fixture
def left_out(once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(once, tmp_path / "bundle"))


def test_only_fp16_is_left_out_and_what_it_lost_is_recorded(left_out: Path) -> None:
    bundle = load_bundle(left_out)
    assert bundle.precisions == ["fp32", "int8"]
    assert not (left_out / "model.fp16.onnx").exists()
    assert bundle.manifest.variants["fp16"].gate.measured["max_error"] > 0
    assert "`model.fp16.onnx`, made on the device by `python -m export.variants THIS_FOLDER`" in (
        left_out / "README.md"
    ).read_text(encoding="utf-8")
    assert make_left_out(left_out) == ["fp16"]
    assert load_bundle(left_out).precisions == ["fp32", "fp16", "int8"]


def test_an_onnx_that_writes_something_else_is_refused(left_out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_it_was = module.to_fp16

    def other(model: onnx.ModelProto) -> onnx.ModelProto:
        made = as_it_was(model)
        made.producer_name = "another"
        return made

    monkeypatch.setattr(module, "to_fp16", other)
    with pytest.raises(AsitEdgeError, match=r"does not write what the lab judged, .*--precision fp16 --data AUDIO"):
        make_left_out(left_out)
    assert sorted(file.name for file in left_out.iterdir()) == sorted([*load_bundle(left_out).manifest.files, *ALWAYS])


ALWAYS = (MANIFEST, "README.md")


def test_a_damaged_one_is_found_as_any_other_file(left_out: Path) -> None:
    make_left_out(left_out)
    with (left_out / "model.fp16.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(AsitEdgeError, match=r"model\.fp16\.onnx: SHA-256 is .* but bundle\.yaml says"):
        load_bundle(left_out)


def test_where_nothing_is_left_out_audio_is_asked_for(plain_bundle: Path) -> None:
    with pytest.raises(WrongUse, match="has all of its models; to make others give recordings .*--data AUDIO"):
        make_left_out(plain_bundle)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sha256": None}, "files does not list model.fp16.onnx, and there is no sha256"),
        ({"file": "model.onnx"}, "model.onnx is in files and has a sha256"),
        ({"file": "../model.fp16.onnx"}, "is not a plain file name"),
    ],
)
def test_a_manifest_says_where_a_file_comes_from(left_out: Path, change: dict[str, str | None], words: str) -> None:
    text = yaml.safe_load((left_out / MANIFEST).read_text(encoding="utf-8"))
    text["variants"]["fp16"].update(change)
    (left_out / MANIFEST).write_text(yaml.safe_dump(text), encoding="utf-8")
    with pytest.raises(AsitEdgeError, match=words):
        load_bundle(left_out)


def test_layers_that_are_kept_stay_in_float32(plain_bundle: Path, clips: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(plain_bundle, tmp_path / "bundle"))
    model = load(path / "model.onnx")
    kept = kept_nodes(model, ["mlp.fc1"])
    assert 0 < len(kept) < len(linear_layers(model))
    write_variants(path, ["int8"], read_audio(clips, 100), LENIENT, force=True, keep=["mlp.fc1"])
    lowered = onnx.load(str(load_bundle(path).at("int8").model_file))
    makers = {name: node for node in lowered.graph.node for name in node.output}
    quantised = {
        node.name
        for node in linear_layers(model)
        for same in lowered.graph.node
        if same.name == node.name
        and any(name in makers and makers[name].op_type == "DequantizeLinear" for name in same.input)
    }
    assert quantised == {node.name for node in linear_layers(model)} - set(kept)
    with pytest.raises(WrongUse, match=r"--keep 'mpl': no linear layer has that in its name; they are .*mlp\.fc1"):
        kept_nodes(model, ["mpl"])
