"""`asit-edge labels`: what is in force for each label, and who says so."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from asit_edge.adjust.file import adjustments_file
from asit_edge.calibrate.choice import Outcome
from asit_edge.calibrate.file import calibration_file, keep_calibration
from asit_edge.cli.app import app
from asit_edge.cli.models.known import chosen_labels, known_labels
from asit_edge.config.root import Config
from asit_edge.errors import WrongUse
from asit_edge.model.bundle import LabelQuality, Manifest, load_bundle, write_manifest
from asit_edge.model.key import model_key
from asit_edge.teach.overlay import QualityNote, TakeNote, TaughtSound
from tests.cli.terminal.emulator import Terminal
from tests.conftest import write_tone_bundle


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A low tone that was measured, and an experimental high one."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = write_tone_bundle(tmp_path / "tones")
    manifest = load_bundle(path).manifest
    quality = LabelQuality(sounds=12, average_precision=0.91, missed=0.25, false_alarms=0.4)
    low, high = manifest.labels
    labels = [low.model_copy(update={"quality": quality}), high.model_copy(update={"experimental": True})]
    write_manifest(path, manifest.model_copy(update={"labels": labels}))
    return path


def manifest_of(bundle: Path) -> Manifest:
    return load_bundle(bundle).manifest


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["labels", *map(str, arguments)])


def settings(**values: object) -> Config:
    return Config.model_validate(values)


def calibrate(bundle: Path) -> None:
    outcome = Outcome("Low tone", (0.5, 0.3), (0.7, 0.42), events=9, a_day=0.5)
    keep_calibration(
        calibration_file(), manifest_of(bundle), "2026-05-01T03:00:00.000Z", ["hall"], 24.0, 1.0, [outcome]
    )


def test_what_is_reported_is_shown_with_its_thresholds_and_quality(bundle: Path) -> None:
    result = run("--model", bundle)
    head, row = result.stdout.splitlines()
    assert head.split() == ["label", "on", "off", "from", "AP", "missed", "false/h", "sounds"]
    assert row.split() == ["Low", "tone", "0.50", "0.30", "bundle", "0.91", "25%", "0.4", "12"]
    assert "1 of 2 labels are reported; --all shows the others too" in result.stderr


def test_all_and_a_text_show_experimental_ones_too(bundle: Path) -> None:
    assert "High tone" in run("--model", bundle, "--all").stdout
    [_, row] = run("high", "--model", bundle).stdout.splitlines()
    assert row.split() == ["High", "tone", "0.50", "0.30", "bundle", "experimental,", "not", "reported"]


def test_a_text_that_nothing_has_is_named(bundle: Path) -> None:
    result = run("xyz", "--model", bundle)
    assert isinstance(result.exception, WrongUse)
    assert str(result.exception) == "tones has no label with 'xyz' in its name; asit-edge labels --all lists them"


def test_a_calibration_goes_before_the_bundle_and_the_configuration_before_both(bundle: Path, tmp_path: Path) -> None:
    calibrate(bundle)
    [line] = run("low", "--model", bundle, "--json").stdout.splitlines()
    one = json.loads(line)
    assert (one["on_threshold"], one["off_threshold"], one["from"]) == (0.7, 0.42, "calibrated")
    assert one["where"] == str(calibration_file())
    assert "calibrated 2026-05-01" in run("low", "--model", bundle).stdout
    config = tmp_path / "config.yaml"
    config.write_text("events: {labels: {Low tone: {on_threshold: 0.8}}}")
    one = json.loads(run("low", "--model", bundle, "--json", "--config", config).stdout)
    assert (one["on_threshold"], one["off_threshold"], one["from"]) == (0.8, 0.42, "configured")
    assert one["where"] == "events.labels.Low tone.on_threshold"


def test_it_shows_what_a_listener_uses(bundle: Path) -> None:
    """The thresholds are those of the pipeline that `listen` opens."""
    from asit_edge.assembly import load_model

    calibrate(bundle)
    config = settings(model=str(bundle), events={"labels": {"High tone": {"on_threshold": 0.6}}})
    used = [(one.on, one.off) for one in load_model(config).classes if one]
    shown = [json.loads(line) for line in run("--all", "--json", "--model", bundle).stdout.splitlines()]
    assert (shown[0]["on_threshold"], shown[0]["off_threshold"]) == used[0] == (0.7, 0.42)
    known = known_labels(manifest_of(bundle), config, None)
    assert known[1].reported, "named in the configuration"
    assert known[1].thresholds == used[1] == (0.6, 0.3)


def streams(*events: object) -> list[dict[str, object]]:
    return [
        {"type": "stream", "name": name, "url": "http://127.0.0.1:9/", "events": own}
        for name, own in zip(("hall", "yard", "attic"), events, strict=False)
    ]


def test_what_was_adjusted_is_named(bundle: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"model: {bundle}\n", encoding="utf-8")
    assert "adjusted" not in run("--config", config).stderr
    typed = ["set", "threshold", "Low tone", "0.9", "--config", str(config)]
    assert CliRunner().invoke(app, typed).exit_code == 0
    shown = run("--config", config)
    assert "Low tone; asit-edge set show" in shown.stderr
    assert "adjusted" not in shown.stdout
    adjustments_file(Config()).path.write_text("damaged: {")
    assert run("--config", config).exit_code == 0


def test_what_differs_for_a_source_is_told(bundle: Path) -> None:
    sources = streams({}, {"labels": {"Low tone": {"on_threshold": 0.9}}}, {"only": []})
    low = known_labels(manifest_of(bundle), settings(sources=sources), None)[0]
    assert low.thresholds == (0.5, 0.3)
    assert low.sources == {"yard": (0.9, 0.3), "attic": None}
    assert (low.origin, low.where) == ("bundle", "")
    assert low.reported


def test_what_the_only_source_has_is_in_force(bundle: Path) -> None:
    sources = streams({"labels": {"Low tone": {"on_threshold": 0.9}}})
    low = known_labels(manifest_of(bundle), settings(sources=sources), None)[0]
    assert (low.thresholds, low.sources) == ((0.9, 0.3), {})
    assert (low.origin, low.where) == ("configured", "sources[0].events.labels.Low tone.on_threshold")


def test_what_was_taught_is_known_after_the_bundles_own(bundle: Path) -> None:
    quality = QualityNote(average_precision=0.97, taken_for_it=1, negatives=900)
    sound = TaughtSound(
        name="Front doorbell",
        model=model_key(manifest_of(bundle)),
        taught="2026-05-01T03:00:00.000Z",
        alarms_per_day=1.0,
        threshold=0.4,
        softness=0.1,
        takes=[TakeNote(name="a.wav", content="0" * 64, heard=True, likeness=0.9)],
        quality=quality,
        sha256="0" * 64,
    )
    config = settings(events={"only": ["Low tone"]})
    last = known_labels(manifest_of(bundle), config, None, taught=[sound])[-1]
    assert (last.name, last.origin, last.taught, last.reported) == ("Front doorbell", "taught", True, True)
    assert last.thresholds == (sound.label.on_threshold, sound.label.off_threshold)
    assert last.to_json()["quality"]["average_precision"] == 0.97


def test_only_is_heeded(bundle: Path) -> None:
    known = known_labels(manifest_of(bundle), settings(events={"only": ["High tone"]}), None)
    assert [one.name for one in chosen_labels(known, "", everything=False)] == ["High tone"]
    assert [one.name for one in chosen_labels(known, "TONE", everything=False)] == ["Low tone", "High tone"]


def test_a_label_that_is_configured_and_not_there_is_named(bundle: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"events": {"only": ["Low tune"]}}))
    result = run("--model", bundle, "--config", config)
    assert isinstance(result.exception, WrongUse)
    assert "did you mean 'Low tone'?" in str(result.exception)


@pytest.mark.parametrize(("columns", "shown"), [(100, True), (40, False)])
def test_in_a_terminal_it_is_a_table_that_fits(bundle: Path, columns: int, shown: bool) -> None:
    with Terminal("labels", "low", "--model", str(bundle), columns=columns) as terminal:
        assert terminal.end() == 0
        assert terminal.grid.colours
        head, _, row = terminal.grid.everything
        assert head.split()[:2] == ["label", "on"]
        assert ("sounds" in head) == shown
        assert row.split()[:3] == ["Low", "tone", "0.50"]
        assert max(map(len, terminal.grid.everything)) < columns


def test_in_a_terminal_model_info_is_tables_that_fit(bundle: Path) -> None:
    with Terminal("model", "info", str(bundle), columns=60, rows=60) as terminal:
        assert terminal.end() == 0
        text = "\n".join(terminal.grid.everything)
        assert text.startswith("tones 1.0\n")
        assert "2, 1 of them experimental" in text
        assert "model.onnx" in text
        assert max(map(len, terminal.grid.everything)) <= 60
