"""Teaching as its user does it: commands in, what they say and what every other command then knows."""

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from asit_edge.cli.app import app
from asit_edge.model.bundle import write_manifest
from tests.conftest import RATE, tones
from tests.teach.conftest import write
from tests.teach.teachable import beep, load_manifest, write_teachable

runner = CliRunner()


def run(*arguments: object) -> str:
    """What it prints. Raises what it raises."""
    done = runner.invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def refused(*arguments: object) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "asit_edge", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1, done.stderr
    return done.returncode, done.stderr


@pytest.fixture
def taught(teachable: Path, takes: list[Path]) -> Path:
    run("teach", "Front doorbell", *takes, "--model", teachable)
    return teachable


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Half a minute with the beep twice, other beeps, and noise."""
    parts = [tones((0, 3), (700, 1), (0, 3)), beep(50), tones((0, 2), (4000, 1), (0, 2)), beep(51)]
    rng = np.random.default_rng(7)
    samples = np.concatenate([*parts, tones((0, 3))])
    return write(tmp_path / "evening.wav", (samples + 1e-3 * rng.standard_normal(len(samples))).astype(np.float32))


def events(recording: Path, model: Path) -> list[dict[str, object]]:
    lines = run("replay", recording, "--model", model, "--json").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_a_taught_sound_is_heard_where_it_is_and_nowhere_else(taught: Path, recording: Path) -> None:
    found = [one for one in events(recording, taught) if one["label"] == "Front doorbell" and one["type"] == "new"]
    assert len(found) == 2
    assert [one["label_id"] for one in found] == ["front_doorbell"] * 2
    onsets = [float(one["onset_epoch"]) for one in found]  # type: ignore[arg-type]
    assert 7.4 < onsets[0] < 9.5
    assert 15.4 < onsets[1] < 17.6


def test_it_says_how_good_it_will_be(teachable: Path, takes: list[Path]) -> None:
    said = run("teach", "Front doorbell", *takes, "--model", teachable)
    assert "'Front doorbell' is taught, with 5 takes" in said
    assert "takes that the others find: 5 of 5 (average precision 1.00" in said
    assert "among 240 other sounds)" in said
    assert "false alarms: 0 of those other sounds" in said
    assert "most like it:" in said


def test_tag_knows_it_by_its_name_and_the_same_recording_gives_the_same_bytes(
    taught: Path, takes: list[Path], recording: Path
) -> None:
    assert "Front doorbell" in run("tag", takes[0], "--model", taught)
    assert run("replay", recording, "--model", taught, "--json") == run(
        "replay", recording, "--model", taught, "--json"
    )


def test_a_dry_run_teaches_nothing(teachable: Path, takes: list[Path], state: Path) -> None:
    found = json.loads(run("teach", "Bell", *takes, "--model", teachable, "--dry-run", "--json").splitlines()[-1])
    assert found["quality"]["average_precision"] == 1
    assert not (state / "taught").exists()


def test_switched_off_renamed_on_and_removed(taught: Path, recording: Path) -> None:
    run("taught", "off", "Front doorbell")
    assert "switched off" in run("taught", "list", "--model", taught)
    assert not [one for one in events(recording, taught) if one["label"] == "Front doorbell"]
    run("taught", "rename", "front doorbell", "Gate bell")
    run("taught", "on", "Gate bell")
    assert [one for one in events(recording, taught) if one["label"] == "Gate bell"]
    run("taught", "remove", "Gate bell")
    assert not [one for one in events(recording, taught) if one["label_id"] == "gate_bell"]


def test_more_takes_are_added_and_the_same_ones_count_once(taught: Path, takes: list[Path], tmp_path: Path) -> None:
    new = write(tmp_path / "another.wav", beep(9))
    said = run("teach", "Front doorbell", new, takes[0], "--more", "--model", taught)
    assert "with 6 takes" in said
    run("taught", "off", "Front doorbell")
    run("teach", "Front doorbell", write(tmp_path / "one_more.wav", beep(10)), "--more", "--model", taught)
    assert "switched off" in run("taught", "list", "--model", taught)
    run("teach", "Front doorbell", new, "--more", "--model", taught)
    listed = json.loads(run("taught", "list", "--json", "--model", taught))
    assert [Path(take["name"]).name for take in listed["takes"]][-2:] == ["another.wav", "one_more.wav"]


def test_what_it_is_not_is_told_apart_afterwards(teachable: Path, takes: list[Path], tmp_path: Path) -> None:
    near = [write(tmp_path / f"near{number}.wav", beep(30 + number, hz=1660)) for number in range(3)]
    run("teach", "Bell", *takes, "--model", teachable)
    before = tag(near[0], teachable, "Bell")
    run("teach", "Bell", "--more", *[part for file in near for part in ("--not", file)], "--model", teachable)
    assert tag(near[0], teachable, "Bell") < before
    assert tag(takes[0], teachable, "Bell") > 0.2


def tag(file: Path, model: Path, label: str) -> float:
    scores = json.loads(run("tag", file, "--model", model, "--json", "--top", "9").splitlines()[-1])["scores"]
    return next(one["score"] for one in scores if one["label"] == label)


def test_too_few_takes_silence_and_names_that_are_taken_are_refused(
    teachable: Path, takes: list[Path], tmp_path: Path
) -> None:
    silent = write(tmp_path / "silent.wav", np.zeros(RATE, np.float32))
    for arguments, code, said in (
        (("Bell", takes[0]), 1, "1 take(s) are too few"),
        (("Bell", takes[0], takes[0], takes[0]), 1, "1 take(s) are too few"),
        (("Bell", *takes[:3], silent), 1, "silent.wav: is silent"),
        (("Bell", tmp_path / "none.wav"), 2, "no such file"),
        (("Bell",), 2, "--record 3"),
        (("low tone", *takes), 2, "knows 'Low tone' itself"),
        (("  ", *takes), 2, "a name has from 1 to 200 characters"),
        (("Bell", *takes, "--more"), 2, "no taught sound 'Bell'"),
    ):
        found, text = refused("teach", *arguments, "--model", teachable)
        assert (found, said in text) == (code, True), text
    run("teach", "Bell", *takes, "--model", teachable)
    found, text = refused("teach", "bell", *takes, "--model", teachable)
    assert found == 2
    assert "taught already" in text


def test_takes_that_are_all_covered_by_speech_are_refused_unless_the_sound_is_a_voice(
    teachable: Path, takes: list[Path], tmp_path: Path
) -> None:
    listening = tmp_path / "listens-to-people"
    shutil.copytree(teachable, listening)
    manifest = load_manifest(listening)
    said = manifest.labels[0].model_copy(update={"name": "Speech", "id": "/m/09x0r"})
    write_manifest(listening, manifest.model_copy(update={"labels": [said, *manifest.labels[1:]]}))
    spoken = [write(tmp_path / f"spoken{number}.wav", beep(number, hz=500)) for number in range(3)]
    code, text = refused("teach", "Hello", *spoken, "--model", listening)
    assert code == 1
    assert "in every take somebody speaks, and it is speech that would be learnt" in text
    assert "'Hello' is taught" in run("teach", "Hello", *spoken, "--model", listening, "--speech")
    assert "'Bell' is taught" in run("teach", "Bell", *takes[:3], spoken[0], "--model", listening)


def test_an_overlay_of_another_bundle_is_refused_and_said(taught: Path, takes: list[Path], tmp_path: Path) -> None:
    other = write_teachable(tmp_path / "other", version="2.0")
    assert "of another model" in run("taught", "list", "--model", other)
    code, text = refused("teach", "Front doorbell", takes[0], "--more", "--model", other)
    assert code == 1
    assert "was taught to teachable 1.0, not to teachable 2.0" in text


def test_takes_unlike_one_another_are_named_and_nothing_is_promised(
    teachable: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    files = [write(tmp_path / f"take{number}.wav", beep(number, hz=hz)) for number, hz in enumerate((600, 1600, 5000))]
    said = run("teach", "Anything", *files, "--model", teachable, "--dry-run")
    assert "takes that the others find: 0 of 3" in said or "takes that the others find: 1 of 3" in said
    assert "unlike the other takes" in said or "most will be missed" in said


def test_an_exported_sound_is_heard_on_another_device(
    taught: Path, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("taught", "export", "Front doorbell", tmp_path / "bell.sound")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert not [one for one in events(recording, taught) if one["label"] == "Front doorbell"]
    run("taught", "import", tmp_path / "bell.sound", "--model", taught)
    assert [one for one in events(recording, taught) if one["label"] == "Front doorbell"]


def test_what_cannot_be_imported_is_refused_with_the_reason_and_nothing_is_there_of_it(
    taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("taught", "export", "Front doorbell", tmp_path / "bell.sound")
    code, text = refused("taught", "import", tmp_path / "bell.sound", "--model", taught)
    assert (code, "taught already" in text) == (2, True), text
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    other = write_teachable(tmp_path / "other", version="2.0")
    (tmp_path / "broken.sound").write_bytes((tmp_path / "bell.sound").read_bytes()[:400])
    (tmp_path / "text.sound").write_text("a doorbell")
    for file, model in (
        ("bell.sound", other),
        ("broken.sound", taught),
        ("text.sound", taught),
        ("none.sound", taught),
    ):
        code, text = refused("taught", "import", tmp_path / file, "--model", model)
        assert code in (1, 2)
        assert file in text or "teachable 2.0" in text, text
        assert not [*(tmp_path / "elsewhere").rglob("*.yaml")]


def test_takes_are_found_in_stereo_at_another_rate_and_in_the_middle_of_minutes(
    teachable: Path, takes: list[Path], tmp_path: Path
) -> None:
    samples, _ = soundfile.read(takes[0], dtype="float32")
    rng = np.random.default_rng(0)
    long = 1e-4 * rng.standard_normal(60 * RATE)
    long[40 * RATE : 40 * RATE + len(samples)] += samples
    soundfile.write(tmp_path / "long.flac", np.stack([long, long], axis=1), RATE)
    said = run("teach", "Bell", *takes[1:4], tmp_path / "long.flac", "--model", teachable)
    assert "takes that the others find: 4 of 4" in said


def test_corrections_without_a_memory_a_stored_event_or_a_label_say_what_is_missing(
    taught: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, taught)
    for arguments, code, said in (
        (("missed", "Frnt doorbell", "--at", "5m"), 2, "did you mean 'Front doorbell'"),
        (("missed", "Low tne", "--at", "5m"), 2, "did you mean 'Low tone'"),
        (("missed", "Front doorbell", "--at", "5m"), 1, "remember_hours: 24"),
        (("missed", "Front doorbell", "--at", "yesterday"), 2, "--at 'yesterday'"),
        (("wrong", "abcdef"), 1, "has asit-edge listen run"),
    ):
        found, text = refused(*arguments, "--config", config)
        assert (found, said in text) == (code, True), text


def write_config(folder: Path, model: Path) -> Path:
    path = folder / "config.yaml"
    path.write_text(f"model: {model}\nstore: {{path: {folder / 'events.db'}}}\n")
    return path


def test_a_taught_sound_is_adjusted_like_any_other_label(taught: Path) -> None:
    run("set", "threshold", "front doorbell", "0.75", "--model", taught)
    assert "Front doorbell: threshold 0.75 instead of 0.5" in run("set", "show", "--model", taught)
    run("taught", "off", "Front doorbell")
    assert "nothing comes of 'Front doorbell'" in run("set", "show", "--model", taught)
    run("set", "reset", "--model", taught)
