"""`asit-edge model`: what is in a bundle, is it right here, how fast is it here."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

from asit_edge.cli.app import app
from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError
from asit_edge.model.backends import inspection
from asit_edge.model.backends.build import build_engine
from asit_edge.model.backends.choice import onnx_precision
from asit_edge.model.backends.cuda import NoGpu
from asit_edge.model.backends.engine import EngineCache, Options
from asit_edge.model.backends.session import open_session, providers_here
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import Bundle, Manifest, find_bundle, load_bundle, sha256, write_manifest
from asit_edge.model.golden import GOLDEN, golden_inputs, golden_scores
from asit_edge.model.latency import faster, measure, remember
from asit_edge.model.variant import Gate, Variant
from tests.model.backends.fake_gpu import ORIN, FakeTensorRT, HostCuda


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))


@pytest.fixture(params=["tone_bundle", "tone_stream"])
def golden_bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A bundle of either shape with golden scores and an int8 variant (its own model)."""
    path = Path(shutil.copytree(request.getfixturevalue(request.param), tmp_path / "bundle"))
    bundle = load_bundle(path)
    inputs = golden_inputs(bundle)
    inputs[:, :, 40:60] += 4
    np.savez(path / GOLDEN, log_mel=inputs, scores=golden_scores(open_classifier(bundle), inputs)[:, -1])
    shutil.copy(path / "model.onnx", path / "model.int8.onnx")
    names = [*bundle.manifest.files, GOLDEN, "model.int8.onnx"]
    files = {name: sha256(path / name) for name in names}
    gate = Gate(data="tones", limits={"max_error": 0.1}, measured={"max_error": 0.05}, worst_layer="energy (0.1)")
    variant = Variant(file="model.int8.onnx", made_from=files["model.onnx"], golden_error=0.001, gate=gate)
    write_manifest(path, bundle.manifest.model_copy(update={"files": files, "variants": {"int8": variant}}))
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["model", *map(str, arguments)])


def rewrite(path: Path, name: str, change: Callable[[Path], object]) -> None:
    """Changes a file of a bundle and what its manifest says of it."""
    change(path / name)
    bundle = load_bundle_as_it_is(path)
    manifest = bundle.manifest
    write_manifest(path, manifest.model_copy(update={"files": {**manifest.files, name: sha256(path / name)}}))


def load_bundle_as_it_is(path: Path) -> Bundle:
    return Bundle(path, Manifest.model_validate(yaml.safe_load((path / "bundle.yaml").read_text())))


def test_info_tells_what_is_in_a_bundle(golden_bundle: Path) -> None:
    result = run("info", golden_bundle)
    assert result.exit_code == 0, result.output
    for text in ("Apache-2.0", "2 labels: Low tone; High tone", "model.int8.onnx", "int8: gate passed on tones"):
        assert text in result.output
    assert "max_error          0.05000   allowed 0.1" in result.output
    assert "would run fp32" in result.output
    facts = json.loads(run("info", golden_bundle, "--json").output)
    assert facts["variants"]["int8"]["passed"] is True
    assert facts["files"]["model.onnx"] == (golden_bundle / "model.onnx").stat().st_size


def test_info_without_a_bundle_is_about_the_packages_own() -> None:
    assert run("info").output.startswith(load_bundle(find_bundle()).manifest.name)


def test_verify_passes_where_the_scores_are_right(golden_bundle: Path) -> None:
    result = run("verify", golden_bundle)
    assert result.exit_code == 0, result.output
    assert [line.split()[:3] for line in result.output.splitlines()] == [
        ["ok", "onnxruntime", "fp32"],
        ["ok", "onnxruntime", "int8"],
    ]


def test_verify_fails_where_they_are_wrong(golden_bundle: Path) -> None:
    def spoil(file: Path) -> None:
        with np.load(file) as arrays:
            log_mel, scores = arrays["log_mel"], arrays["scores"]
        np.savez(file, log_mel=log_mel, scores=np.clip(scores + 0.01, 0, 1))

    rewrite(golden_bundle, GOLDEN, spoil)
    result = run("verify", golden_bundle)
    assert isinstance(result.exception, AsitEdgeError)
    assert result.exception.exit_code == 1
    assert "WRONG  onnxruntime  fp32" in result.output
    assert "ok     onnxruntime  int8" in result.output  # 0.01 is within what it may lose


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no", "pickle"])
def test_verify_survives_a_golden_file_that_is_none(golden_bundle: Path, content: bytes | str) -> None:
    def replace(file: Path) -> None:
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            np.savez(file, log_mel=np.array([{"a": 1}], dtype=object), scores=np.zeros(1))

    rewrite(golden_bundle, GOLDEN, replace)
    result = run("verify", golden_bundle)
    assert isinstance(result.exception, AsitEdgeError)
    assert "golden.npz: not readable" in result.output


def test_verify_without_golden_scores_says_so(tone_bundle: Path) -> None:
    result = run("verify", tone_bundle)
    assert isinstance(result.exception, AsitEdgeError)
    assert "has no golden.npz" in result.output


def test_bench_measures_and_auto_goes_by_it(golden_bundle: Path) -> None:
    result = run("bench", golden_bundle, "--seconds", "0.1", "--batch", "2", "--json")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.output.splitlines()]
    assert [(row["precision"], row["latency"]["batch"]) for row in rows] == [
        ("fp32", 1),
        ("fp32", 2),
        ("int8", 1),
        ("int8", 2),
    ]
    assert all(0 < row["latency"]["p50_ms"] <= row["latency"]["p95_ms"] for row in rows)
    bundle = load_bundle(golden_bundle)
    medians = {row["precision"]: row["latency"]["p50_ms"] for row in rows if row["latency"]["batch"] == 1}
    assert faster(bundle, "cpu", 1) == (medians["int8"] < 0.95 * medians["fp32"])
    remember(bundle, "cpu", 1, {"fp32": 2.0, "int8": 1.0})
    assert onnx_precision(bundle, Config()) == "int8"
    assert "would run int8" in run("info", golden_bundle).output


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', "null"])
def test_measurements_that_cannot_be_read_are_none(golden_bundle: Path, tmp_path: Path, content: str) -> None:
    bundle = load_bundle(golden_bundle)
    remember(bundle, "cpu", 1, {"fp32": 2.0, "int8": 1.0})
    (tmp_path / "cache" / "latency.json").write_text(content)
    assert not faster(bundle, "cpu", 1)
    remember(bundle, "cpu", 1, {"fp32": 2.0, "int8": 1.0})
    assert faster(bundle, "cpu", 1)


def test_a_step_counts_every_streams_audio(tone_bundle: Path) -> None:
    bundle = load_bundle(tone_bundle)
    latency = measure(open_classifier(bundle), bundle.manifest.front_end, 3, 0.05)
    assert latency.runs >= 20
    assert latency.realtime > 3 * 0.16 / (latency.p95_ms / 1e3) / 20


def test_an_engine_that_is_asked_for_and_cannot_be_is_reported(golden_bundle: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("backend: tensorrt\n")
    result = run("verify", golden_bundle, "--config", config)
    assert isinstance(result.exception, AsitEdgeError)
    assert "WRONG  tensorrt" in result.output


def test_every_provider_that_is_offered_opens(tone_bundle: Path) -> None:
    assert "cpu" in providers_here()
    assert open_session(tone_bundle / "model.onnx", threads=2).get_providers() == ["CPUExecutionProvider"]


def test_a_variant_must_come_from_the_bundles_model(golden_bundle: Path) -> None:
    text = (golden_bundle / "bundle.yaml").read_text()
    made = load_bundle(golden_bundle).manifest.variants["int8"].made_from
    (golden_bundle / "bundle.yaml").write_text(text.replace(f"made_from: {made}", f"made_from: {'a' * 64}"))
    with pytest.raises(AsitEdgeError, match=r"variants\.int8: made from another model\.onnx"):
        load_bundle(golden_bundle)


class Board:
    """A device with TensorRT and a GPU for `model`, behind the two narrow doors."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, engines: Path) -> None:
        self.cuda = HostCuda()
        self.tensorrt = FakeTensorRT(self.cuda)
        self.engines = engines
        monkeypatch.setattr(inspection, "installed", lambda: self.tensorrt)
        monkeypatch.setattr(inspection, "DriverCuda", lambda: self.cuda)

    def build(self, path: Path) -> Path:
        bundle = load_bundle(path)
        side_car, plan = build_engine(self.tensorrt, self.cuda, bundle, Options(precision="fp32"), None, None, 0.0)
        return EngineCache(self.engines).write(bundle.manifest, side_car, plan)


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Board:
    return Board(monkeypatch, tmp_path / "cache" / "engines")


def test_an_engine_that_was_not_built_yet_is_absent_and_no_fault(golden_bundle: Path, board: Board) -> None:
    result = run("verify", golden_bundle)
    assert result.exit_code == 0, result.output
    assert "absent tensorrt     fp32  " in result.output
    assert "has no fp32 engine for" in result.output
    rows = [json.loads(line) for line in run("verify", golden_bundle, "--json").output.splitlines()]
    assert [(row["backend"], row["state"], row["passed"]) for row in rows] == [
        ("onnxruntime", "ok", True),
        ("onnxruntime", "ok", True),
        ("tensorrt", "absent", False),
        ("tensorrt", "absent", False),
    ]


def test_an_engine_that_fits_is_checked_and_a_damaged_one_is_wrong(golden_bundle: Path, board: Board) -> None:
    file = board.build(golden_bundle)
    assert "ok     tensorrt     fp32  differs by" in run("verify", golden_bundle).output
    board.tensorrt.spoil = lambda scores: np.full_like(scores, 0.5)
    result = run("verify", golden_bundle)
    assert result.exit_code == 1
    assert "WRONG  tensorrt     fp32  scores differ by" in result.output
    file.write_bytes(file.read_bytes()[:-1])
    result = run("verify", golden_bundle)
    assert result.exit_code == 1
    assert "it is truncated" in result.output


def test_an_image_on_a_sibling_module_has_no_engine_yet_and_says_what_differs(
    golden_bundle: Path, board: Board
) -> None:
    board.build(golden_bundle)
    board.cuda.gpu = ORIN.model_copy(update={"multiprocessors": 4, "memory_gb": 4})
    result = run("verify", golden_bundle)
    assert result.exit_code == 0
    assert "multiprocessors is 8, needed is 4; memory_gb is 8, needed is 4" in result.output


def test_without_a_gpu_tensorrt_is_absent_unless_it_was_asked_for(
    golden_bundle: Path, board: Board, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def none() -> None:
        raise NoGpu("no NVIDIA driver")

    monkeypatch.setattr(inspection, "DriverCuda", none)
    result = run("verify", golden_bundle)
    assert result.exit_code == 0
    assert "absent tensorrt     fp32  no NVIDIA driver" in result.output
    (tmp_path / "config.yaml").write_text("backend: tensorrt\n")
    assert run("verify", golden_bundle, "--config", tmp_path / "config.yaml").exit_code == 1


def test_bench_ends_with_the_fastest_and_why(golden_bundle: Path) -> None:
    last = run("bench", golden_bundle, "--seconds", "0.1").output.splitlines()[-1]
    assert last.startswith("fastest: onnxruntime cpu ")
    assert "timed here, a step: onnxruntime cpu fp32 " in last
