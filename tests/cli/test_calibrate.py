"""`asit-edge calibrate` as its user meets it: recordings or sources in, thresholds out, and back again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from asit_edge import Detector
from asit_edge.config.events import Events, LabelSettings
from tests.conftest import RATE, tones


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "asit-edge" / "calibration.yaml"


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """A day of 10 s: a faint low tone that is above the bundle's threshold, and nothing else."""
    path = tmp_path / "day.wav"
    soundfile.write(path, tones((0, 3), (500, 1), (0, 6)) * np.float32(0.12), RATE, subtype="FLOAT")
    return path


def run(*arguments: str | Path, **more: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "asit_edge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)  # type: ignore[call-overload, no-any-return]


def labels(file: Path, bundle: Path) -> list[str]:
    """What `replay` reports of a recording."""
    done = run("replay", file, "--model", bundle, "--json")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return [event["label"] for event in events if event["type"] == "new"]


def test_a_day_that_alarmed_no_longer_does_until_it_is_undone(
    tone_bundle: Path, day: Path, tone_file: Path, state: Path
) -> None:
    assert labels(day, tone_bundle) == ["Low tone"]
    done = run("calibrate", day, "--model", tone_bundle)
    assert done.returncode == 0, done.stderr
    assert "Low tone  0.500 -> 0." in done.stdout
    assert f"thresholds written to {state}; a running listener uses them from its next start" in done.stdout
    assert labels(day, tone_bundle) == []
    assert labels(tone_file, tone_bundle) == ["Low tone", "High tone", "Low tone"], "louder ones are still heard"
    said = run("replay", day, "--model", tone_bundle).stderr
    assert said.startswith("asit-edge: thresholds of 1 labels calibrated on 2")
    undone = run("calibrate", "--undo", "--model", tone_bundle)
    assert undone.returncode == 0
    assert "is taken back: thresholds are the bundle's" in undone.stdout
    assert labels(day, tone_bundle) == ["Low tone"]


def test_undo_of_nothing_says_so(tone_bundle: Path, state: Path) -> None:
    done = run("calibrate", "--undo", "--model", tone_bundle)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"asit-edge: error: nothing to undo: {state} has no calibration of tones 1.0\n"


def test_json_and_dry_run(tone_bundle: Path, day: Path, state: Path) -> None:
    dry = run("calibrate", day, "--model", tone_bundle, "--json", "--dry-run")
    content = json.loads(dry.stdout)
    assert content["written"] is None
    assert [(one["label"], one["events"], one["a_day"]) for one in content["labels"]] == [("Low tone", 1, 0.0)]
    assert not state.exists()
    real = json.loads(run("calibrate", day, "--model", tone_bundle, "--json").stdout)
    assert real == {**content, "written": str(state)}
    back = json.loads(run("calibrate", "--undo", "--model", tone_bundle, "--json").stdout)
    assert back["in_force"] is None


def test_what_is_calibrated_need_not_be_again(tone_bundle: Path, day: Path, state: Path) -> None:
    run("calibrate", day, "--model", tone_bundle)
    before = state.read_bytes()
    again = run("calibrate", day, "--model", tone_bundle)
    assert "no threshold has to be raised" in again.stdout
    assert state.read_bytes() == before


def test_the_library_knows_it_and_the_configuration_goes_before(tone_bundle: Path, day: Path) -> None:
    samples, rate = soundfile.read(day)

    def heard(events: Events | None = None) -> list[str]:
        detector = Detector(tone_bundle, events=events)
        return [event.label for event in [*detector.push(samples, rate), *detector.flush()] if event.type == "new"]

    assert heard() == ["Low tone"]
    run("calibrate", day, "--model", tone_bundle)
    assert heard() == []
    assert heard(Events(labels={"Low tone": LabelSettings(on_threshold=0.5)})) == ["Low tone"]
    assert heard(Events(labels={"Low tone": LabelSettings(min_duration=0)})) == []


def test_a_label_that_the_configuration_sets_is_told_and_left_alone(
    tone_bundle: Path, day: Path, tmp_path: Path, state: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("events: {labels: {Low tone: {on_threshold: 0.4}}}\n", encoding="utf-8")
    done = run("calibrate", day, "--model", tone_bundle, "--config", config)
    assert done.returncode == 0
    assert "Low tone: 8640 a day; the configuration sets its on_threshold, raise it there" in done.stdout
    assert not state.exists()


def test_tag_and_its_scores_know_nothing_of_it(tone_bundle: Path, day: Path) -> None:
    before = run("tag", day, "--model", tone_bundle)
    run("calibrate", day, "--model", tone_bundle)
    after = run("tag", day, "--model", tone_bundle)
    assert (after.stdout, after.stderr) == (before.stdout, before.stderr) != ("", "")


def test_a_damaged_calibration_stops_nobody_and_is_replaced(tone_bundle: Path, day: Path, state: Path) -> None:
    state.parent.mkdir(parents=True)
    state.write_text("calibrations: [", encoding="utf-8")
    done = run("replay", day, "--model", tone_bundle)
    assert done.returncode == 0
    [line] = done.stderr.splitlines()
    assert line.startswith(f"asit-edge: {state}:1: not valid YAML")
    assert run("calibrate", day, "--model", tone_bundle).returncode == 0
    assert len(yaml.safe_load(state.read_text(encoding="utf-8"))["calibrations"]) == 1


WRONG = [
    (["--alarms-per-day", "0"], "--alarms-per-day 0: must be a number above 0, such as 1"),
    (["--alarms-per-day", "-1"], "--alarms-per-day -1: must be a number above 0, such as 1"),
    (["--alarms-per-day", "nan"], "--alarms-per-day nan: must be a number above 0, such as 1"),
    (["--alarms-per-day", "inf"], "--alarms-per-day inf: must be a number above 0, such as 1"),
    (["--hours", "0"], "--hours 0: must be above 0 and at most 744"),
    (["--hours", "1", "day.wav"], "FILE and --hours exclude each other"),
    (["--undo", "day.wav"], "--undo takes the last calibration back"),
    (["--undo", "--dry-run"], "--undo takes the last calibration back"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=[" ".join(one) for one, _ in WRONG])
def test_wrong_use_is_told_before_anything_is_heard(arguments: list[str], said: str) -> None:
    done = run("calibrate", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"asit-edge: error: {said}")


def test_where_nothing_could_be_kept_nothing_is_heard(tone_bundle: Path, day: Path, state: Path) -> None:
    state.parent.parent.write_text("a file", encoding="utf-8")
    done = run("calibrate", day, "--model", tone_bundle)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("and thresholds are kept there")
    assert run("calibrate", day, "--model", tone_bundle, "--dry-run").returncode == 0


def piped(tmp_path: Path) -> Path:
    config = tmp_path / "config.yaml"
    config.write_text("sources: [{type: stdin, name: pipe}]\n", encoding="utf-8")
    return config


def test_live_a_source_is_heard_to_its_end(tone_bundle: Path, day: Path, tmp_path: Path, state: Path) -> None:
    samples, _ = soundfile.read(day, dtype="float32")
    pcm = (samples[2 * RATE : 6 * RATE] * 32767).astype("<i2").tobytes()
    command = [
        sys.executable,
        "-m",
        "asit_edge",
        "calibrate",
        "--model",
        str(tone_bundle),
        "--config",
        str(piped(tmp_path)),
    ]
    done = subprocess.run([*command, "--hours", "0.01"], input=pcm, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert b"of pipe; wanted: at most 1 a day" in done.stdout
    assert b"Low tone  0.500 -> 0." in done.stdout
    assert labels(day, tone_bundle) == []
    [kept] = yaml.safe_load(state.read_text(encoding="utf-8"))["calibrations"]
    assert kept["heard"] == ["pipe"]
    assert kept["hours"] * 3600 == pytest.approx(4, abs=0.2)


def test_live_after_an_interrupt_what_was_heard_so_far_is_used(tone_bundle: Path, tmp_path: Path, state: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "asit_edge",
        "calibrate",
        "--model",
        str(tone_bundle),
        "--config",
        str(piped(tmp_path)),
    ]
    with subprocess.Popen(
        [*command, "--hours", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stderr  # noqa: PT018
        process.stdin.write((tones((0, 2), (500, 1), (0, 2)) * 0.12 * 32767).astype("<i2").tobytes())
        process.stdin.flush()
        assert b"listening at 16000 Hz" in process.stderr.readline()
        time.sleep(4)
        os.kill(process.pid, signal.SIGINT)
        out, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert b"stopped before its time; what was heard until then is used" in said
    assert b"Low tone  0.500 -> 0." in out
    assert state.is_file()
