"""A damaged model is refused by verify, before a build, after it, and by the gate: heads, stem and caches, in every
precision of the package's bundles."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from asit_edge.cli.app import app as edge
from asit_edge.errors import AsitEdgeError
from asit_edge.model.backends.build import build_engine
from asit_edge.model.backends.engine import Options
from asit_edge.model.bundle import Bundle, bundled, load_bundle, sha256, write_manifest
from asit_edge.model.variant import Precision
from bench.damage import Damage, damaged, one_channel, random_labels, swapped_caches
from export import lowering
from export.audio import Audio, read_audio
from export.lowering import Reference, hear, make
from export.options import Lower
from export.precisions.left_out import make_left_out
from tests.export.conftest import LENIENT
from tests.model.backends.fake_gpu import FakeTensorRT, HostCuda

DAMAGES = {"a label's head": random_labels(1), "stem": one_channel, "caches": swapped_caches}
SHIPPED = [(name, one) for name, path in bundled().items() for one in ("fp32", *load_bundle(path).manifest.variants)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The package's bundles with what is made on a device."""
    folder = tmp_path_factory.mktemp("whole")
    paths = {name: Path(shutil.copytree(path, folder / name)) for name, path in bundled().items()}
    for path in paths.values():
        make_left_out(path)
    return paths


def on_disk(bundle: Bundle, precision: Precision, file: Path, target: Path) -> Path:
    """A copy of the bundle with another file as its model in that precision, and with the hashes that fit."""
    path = Path(shutil.copytree(bundle.path, target))
    place = path / bundle.at(precision).model_file.name
    shutil.copy(file, place)
    manifest = bundle.manifest
    files = {name: sha256(path / name) for name in manifest.files}
    variants = {
        name: one.model_copy(
            update={"made_from": files["model.onnx"], "sha256": one.sha256 and sha256(path / one.file)}
        )
        for name, one in manifest.variants.items()
    }
    write_manifest(path, manifest.model_copy(update={"files": files, "variants": variants}))
    return path


@pytest.mark.parametrize(("name", "precision"), SHIPPED)
def test_verify_and_build_refuse_it(
    name: str, precision: Precision, whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))
    bundle, cuda = load_bundle(whole[name]), HostCuda()
    options = Options(precision=precision)
    config = tmp_path / "config.yaml"
    config.write_text(f"backend: onnxruntime\nprecision: {precision}\n")
    for number, damage in enumerate(DAMAGES.values()):
        broken = damaged(bundle, precision, damage, np.random.default_rng(3), tmp_path)
        path = on_disk(bundle, precision, broken.model_file, tmp_path / str(number))
        verified = CliRunner().invoke(edge, ["model", "verify", str(path), "--config", str(config)])
        assert verified.exit_code == 1, verified.output
        assert verified.output.startswith(f"WRONG  onnxruntime  {precision}")
        with pytest.raises(AsitEdgeError, match="it is damaged, and nothing is made from it"):
            build_engine(FakeTensorRT(cuda), cuda, load_bundle(path), options, None, None, 0.0)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_an_engine_that_was_damaged_as_it_was_built_is_not_kept(
    precision: Precision, damage: str, whole: dict[str, Path], tmp_path: Path
) -> None:
    """The file is right, and what TensorRT makes of it is not."""
    bundle, cuda = load_bundle(whole["asit-stream-nano"]), HostCuda()
    broken = damaged(bundle, precision, DAMAGES[damage], np.random.default_rng(3), tmp_path).model_file

    class Careless(FakeTensorRT):
        def build(self, file: Path, *arguments: Any) -> bytes:
            return super().build(broken, *arguments)

    with pytest.raises(AsitEdgeError, match=f"the {precision} engine does not compute what .*; it was not kept"):
        build_engine(Careless(cuda), cuda, bundle, Options(precision=precision), None, None, 0.0)


@pytest.fixture(scope="module")
def heard(clips: Path) -> tuple[Bundle, Audio, Reference]:
    bundle, audio = load_bundle(bundled()["asit-stream-nano"]), read_audio(clips, 100)
    return bundle, audio, hear(bundle, audio, unheard=True)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.parametrize("damage", ["none", "stem", "caches"])
def test_the_gate_refuses_it(
    heard: tuple[Bundle, Audio, Reference],
    precision: Lower,
    damage: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Something in the conversion loses a channel of the stem, or takes one cache for another."""
    bundle, audio, expected = heard
    if damage != "none":
        spoil = DAMAGES[damage]
        spoil_conversions(monkeypatch, lambda model: spoil(model, bundle, np.random.default_rng(3)))
    made = make(bundle, precision, audio, expected, LENIENT, tmp_path)
    assert made.gate.passed is (damage == "none"), made.report()


def spoil_conversions(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[onnx.ModelProto], None]) -> None:
    to_half, to_eight = lowering.to_fp16, lowering.to_int8

    def half(model: onnx.ModelProto) -> onnx.ModelProto:
        spoil(model)
        return to_half(model)

    def eight(source: Path, inputs: Any, out: Path, keep: Any) -> None:
        to_eight(source, inputs, out, keep)
        model = onnx.load(str(out))
        spoil(model)
        onnx.save(model, str(out))

    monkeypatch.setattr(lowering, "to_fp16", half)
    monkeypatch.setattr(lowering, "to_int8", eight)


def test_each_damage_is_one(whole: dict[str, Path], tmp_path: Path) -> None:
    damages: dict[str, Damage] = DAMAGES
    bundle = load_bundle(whole["asit-stream-nano"])
    for damage in damages.values():
        after = damaged(bundle, "fp32", damage, np.random.default_rng(3), tmp_path).model_file
        assert after.read_bytes() != bundle.at("fp32").model_file.read_bytes()
