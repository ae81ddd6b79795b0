"""The command line as its users meet it: output, exit codes, and one line for every kind of bad input."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asit_edge.config.root import Config
from asit_edge.model.backends.choice import onnx_precision
from asit_edge.model.bundle import find_bundle, load_bundle
from asit_edge.model.latency import remember
from tests.conftest import RATE, tones


def run(*arguments: str | Path, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "asit_edge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd)


def test_replay_tells_what_was_heard(tone_bundle: Path, tone_file: Path) -> None:
    done = run("replay", tone_file, "--model", tone_bundle, "--json", "--start", "2026-05-01T03:00:00Z")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(event["type"], event["label"]) for event in events] == [
        ("new", "Low tone"),
        ("end", "Low tone"),
        ("new", "High tone"),
        ("end", "High tone"),
        ("new", "Low tone"),
        ("end", "Low tone"),
    ]
    first, last = events[0], events[1]
    assert list(first) == [
        *["schema", "type", "id", "device", "source", "label", "label_id", "score", "peak", "onset", "offset"],
        *["duration", "onset_epoch", "latency_ms", "seq", "replayed", "clip", "model"],
        *["also", "continues"],
    ]
    assert first["onset"] == "2026-05-01T03:00:00.960Z"
    assert first["offset"] is None
    assert first["onset_epoch"] == pytest.approx(1777604400.96)
    assert last["id"] == first["id"]
    assert last["offset"] == "2026-05-01T03:00:01.920Z"
    assert last["duration"] == pytest.approx(0.96)
    assert len({event["id"] for event in events}) == 3
    assert [event["seq"] for event in events] == list(range(1, 7))
    assert all(event["replayed"] and event["source"] == "tones" for event in events)


def test_replay_is_byte_identical(tone_bundle: Path, tone_file: Path) -> None:
    first, second = (run("replay", tone_file, "--model", tone_bundle, "--json").stdout for _ in range(2))
    assert first == second
    assert first.count("\n") == 6


def test_a_recorders_time_in_the_name_is_told_with_the_option_that_uses_it(
    tone_bundle: Path, tone_file: Path, tmp_path: Path
) -> None:
    named = tmp_path / "SITE_20260501_030000.WAV"
    named.write_bytes(tone_file.read_bytes())
    done = run("replay", named, "--model", tone_bundle, "--json")
    assert json.loads(done.stdout.splitlines()[0])["onset"] == "1970-01-01T00:00:00.960Z"
    [line] = done.stderr.splitlines()
    assert line.startswith(f"asit-edge: {named}: its name says when it began")
    option, time = line.split()[-2:]
    done = run("replay", named, "--model", tone_bundle, "--json", option, time)
    assert json.loads(done.stdout.splitlines()[0])["onset"] == "2026-05-01T03:00:00.960Z"
    assert done.stderr == ""
    assert run("replay", tone_file, "--model", tone_bundle, "--json").stderr == ""


def test_replay_of_the_bundled_recording_is_the_same_whatever_has_been_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asit_edge.cli.demo import recording

    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path))
    first = run("replay", recording(), "--json")
    bundle = load_bundle(find_bundle(None))
    assert "int8" in bundle.variants
    remember(bundle, "cpu", 1, {"fp32": 2.0, "int8": 1.0})
    assert onnx_precision(bundle, Config()) == "int8", "a listener takes what is faster"
    second = run("replay", recording(), "--json")
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert len({json.loads(line)["label"] for line in first.stdout.splitlines()}) >= 2


def test_tag_ranks_labels_and_goes_on_after_a_bad_file(tone_bundle: Path, tone_file: Path, tmp_path: Path) -> None:
    low = tmp_path / "low.flac"
    soundfile.write(low, tones((500, 1.0), rate=44_100), 44_100)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF nonsense")
    done = run("tag", low, broken, tone_file, "--model", tone_bundle, "--json", "--top", "1")
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["file"] for line in lines] == [str(low), str(tone_file)]
    assert lines[0]["scores"][0]["label"] == "Low tone"
    assert len(lines[0]["scores"]) == 1
    assert done.stderr.count("\n") == 1
    assert "broken.wav: not audio in a supported format" in done.stderr


def test_tag_orders_scores(tone_bundle: Path, tone_file: Path) -> None:
    done = run("tag", tone_file, "--model", tone_bundle, "--json")
    scores = [entry["score"] for entry in json.loads(done.stdout)["scores"]]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)


def test_the_version_is_told() -> None:
    assert run("--version").stdout.startswith("asit-edge ")


def test_it_starts_without_what_only_some_commands_need() -> None:
    heavy = "numpy", "onnxruntime", "sounddevice", "soundfile", "paho", "amqtt", "rich", "jinja2"
    program = f"import sys, asit_edge.cli.app; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@pytest.fixture
def bad_files(tmp_path: Path) -> Path:
    """Every kind of file that is no good audio."""
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("this is not audio\n", encoding="utf-8")
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0, np.float32), RATE)
    spoiled = tones((500, 1.0))
    spoiled[8_000] = np.nan
    soundfile.write(tmp_path / "nan.wav", spoiled, RATE, subtype="FLOAT")
    infinite = tones((500, 1.0))
    infinite[0] = -np.inf
    soundfile.write(tmp_path / "infinite.wav", infinite, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "whole.flac", tones((500, 20.0)), RATE)
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "typo.yaml").write_text("mqtt:\n  hots: x\n", encoding="utf-8")
    (tmp_path / "store.yaml").write_text("store:\n  path: missing.db\n", encoding="utf-8")
    (tmp_path / "no-broker.yaml").write_text("device: hall\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["replay", "missing.wav"], 2, "missing.wav: no such file"),
        (["replay", "folder.wav"], 2, "folder.wav: is a directory"),
        (["replay", "empty.wav"], 1, "empty.wav: the file is empty (0 bytes)"),
        (["replay", "text.wav"], 1, "text.wav: not audio in a supported format (WAV, FLAC,"),
        (["replay", "nothing.wav"], 1, "nothing.wav: contains no audio (0 samples)"),
        (["replay", "nan.wav"], 1, "nan.wav: samples that are not numbers (NaN or infinite), first at 0.500 s"),
        (["replay", "infinite.wav"], 1, "first at 0.000 s; write the file again as 16-bit PCM"),
        (["tag", "missing.wav"], 2, "missing.wav: no such file"),
        (["tag", "nan.wav"], 1, "nan.wav: samples that are not numbers"),
        (["replay", "whole.flac", "--config", "typo.yaml"], 2, "typo.yaml:2: unknown key 'mqtt.hots' (did you mean"),
        (["replay", "whole.flac", "--config", "none.yaml"], 2, "none.yaml: cannot be read"),
        (["replay", "whole.flac", "--model", "nowhere"], 2, "nowhere: not a model bundle (no bundle.yaml)"),
        (["replay", "whole.flac", "--start", "noon"], 2, "--start 'noon': not an ISO 8601 time"),
        (["replay", "whole.flac", "--publish", "--config", "no-broker.yaml"], 2, "--publish needs a broker"),
        (["listen", "--config", "typo.yaml"], 2, "unknown key 'mqtt.hots' (did you mean 'host'?)"),
        (["subscribe", "--config", "no-broker.yaml"], 2, "which broker? give --host"),
        (["subscribe", "--host", "127.0.0.1", "--port", "1", "--config", "no-broker.yaml"], 1, "connection refused"),
        (["subscribe", "--host", "x", "--source", "a/#", "--config", "no-broker.yaml"], 2, "--source 'a/#': letters"),
        (["subscribe", "--host", "x", "--exec", "no-such", "--config", "no-broker.yaml"], 2, "no program 'no-such'"),
        (["events", "--config", "store.yaml"], 1, "missing.db: no such file; has asit-edge listen run on this device"),
        (["events", "--config", "store.yaml", "--since", "noon"], 2, "--since 'noon': neither a duration such as 30m"),
        (["schema", "evnt"], 2, "no schema 'evnt' (did you mean 'event'?)"),
    ],
)
def test_bad_input_gets_one_line_and_an_exit_code(
    bad_files: Path, tone_bundle: Path, arguments: list[str], code: int, message: str
) -> None:
    if "--model" not in arguments and arguments[0] in ("replay", "tag", "listen"):
        arguments = [*arguments, "--model", str(tone_bundle)]
    done = run(*arguments, cwd=bad_files)
    assert done.returncode == code, done.stderr
    assert "asit-edge: error: " in done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == (2 if "connection refused" in message else 1)
    assert "Traceback" not in done.stderr


def test_wrong_options_are_wrong_use(tone_file: Path) -> None:
    done = run("replay", tone_file, "--jsn")
    assert done.returncode == 2
    assert "--jsn" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_was_heard_before_a_file_breaks_off_is_told(tone_bundle: Path, tmp_path: Path) -> None:
    samples = tones((500, 2.0), (0, 1.0))
    samples[40_000] = np.nan
    file = tmp_path / "late.wav"
    soundfile.write(file, samples, RATE, subtype="FLOAT")
    done = run("replay", file, "--model", tone_bundle, "--json")
    assert done.returncode == 1
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["new", "end"]
    assert "first at 2.500 s" in done.stderr


def test_a_clipped_recording_is_scored_with_a_warning(tone_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "loud.wav"
    soundfile.write(file, np.clip(20 * tones((500, 1.0)), -1, 1), RATE)
    done = run("tag", file, "--model", tone_bundle)
    assert done.returncode == 0
    assert "clipped" in done.stderr
    assert "Low tone" in done.stdout


def test_the_reader_of_a_pipe_may_leave(tone_bundle: Path, tone_file: Path) -> None:
    command = f"{sys.executable} -m asit_edge replay {tone_file} --model {tone_bundle} --json | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
    assert json.loads(done.stdout)["type"] == "new"
