"""The real microphone path: PortAudio on a PulseAudio null sink, sample by sample, and as a user runs it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from tests.conftest import RATE, tones
from tests.integration.mosquitto import wait_for
from tests.integration.pulse import Pulse, require_alsa_pulse

RECORD = """
import sys, time
from pathlib import Path
import numpy as np
from asit_edge.sources.microphone import Microphone
microphone = Microphone("mic", "pulse", None, None, 16_000)
microphone.start()
while microphone.ring.written < 4_000:
    time.sleep(0.02)
print("ready", microphone.rate, microphone.ring.channels, flush=True)
recorded, lost = [], 0
while not Path(sys.argv[2]).exists():
    read = microphone.ring.read(16_000)
    recorded.append(read.samples)
    lost += read.lost
    time.sleep(0.02)
ended = microphone.ended
microphone.stop()
np.save(sys.argv[1], np.concatenate(recorded))
print("lost", lost, "overflows", microphone.overflows, "ended", ended, flush=True)
"""


@pytest.fixture
def pulse(tmp_path: Path) -> Iterator[Pulse]:
    pulse = Pulse(tmp_path / "pulse")
    pulse.start()
    require_alsa_pulse(pulse)
    yield pulse
    pulse.kill()


def test_what_is_played_is_recorded_sample_by_sample(tmp_path: Path, pulse: Pulse) -> None:
    rng = np.random.default_rng(0)
    played = (rng.integers(-20_000, 20_000, 3 * RATE)).astype(np.int16)
    sound, result, done = tmp_path / "noise.wav", tmp_path / "recorded.npy", tmp_path / "done"
    soundfile.write(sound, played, RATE, subtype="PCM_16")
    recorder = subprocess.Popen(
        [sys.executable, "-c", RECORD, result, done], env=pulse.environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert recorder.stdout is not None
        assert recorder.stdout.readline() == "ready 16000 1\n"
        pulse.play(sound)
        time.sleep(0.5)
        done.touch()
        assert recorder.stdout.readline() == "lost 0 overflows 0 ended None\n"
        assert recorder.wait(timeout=10) == 0
    finally:
        recorder.kill()
    recorded = np.round(np.load(result)[:, 0] * 32_768).astype(np.int32)
    begin = int(np.flatnonzero(recorded)[0])
    first = int(np.flatnonzero(played)[0])
    heard = recorded[begin - first : begin - first + len(played)]
    assert np.array_equal(heard, played.astype(np.int32)), "every sample, in order, unchanged"


def listen(pulse: Pulse, *arguments: str | Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "asit_edge", "listen", *map(str, arguments)],
        env=pulse.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def write_config(tmp_path: Path, tone_bundle: Path, device: str) -> Path:
    path = tmp_path / "config.yaml"
    config = {
        "device": "hall",
        "model": str(tone_bundle),
        "sources": [{"type": "microphone", "name": "mic", "device": device}],
        "store": {"path": str(tmp_path / "events.db")},
    }
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def test_a_sound_in_the_room_becomes_an_event(tmp_path: Path, tone_bundle: Path, pulse: Pulse) -> None:
    sound = tmp_path / "tone.wav"
    soundfile.write(sound, tones((0, 0.5), (500, 1.0), (0, 0.5)), RATE)
    process = listen(pulse, "--config", write_config(tmp_path, tone_bundle, "pulse"))
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line == "asit-edge: mic: listening at 16000 Hz, 1 channel(s)\n"
        before = time.time()
        pulse.play(sound)
        assert process.stdout is not None
        event = json.loads(process.stdout.readline())
        assert (event["type"], event["label"], event["source"]) == ("new", "Low tone", "mic")
        assert before - 0.5 < event["onset_epoch"] < time.time()
        assert json.loads(process.stdout.readline())["type"] == "end"
        process.terminate()
        process.communicate(timeout=15)
        assert process.returncode == 0
    finally:
        process.kill()


def test_a_sound_server_that_dies_is_not_taken_for_silence(tmp_path: Path, tone_bundle: Path, pulse: Pulse) -> None:
    process = listen(pulse, "--config", write_config(tmp_path, tone_bundle, "pulse"))
    try:
        assert process.stderr is not None
        assert "listening" in process.stderr.readline()
        pulse.kill()
        _, err = process.communicate(timeout=20)
        assert process.returncode == 1
        assert "microphone 'pulse'" in err
        assert "Traceback" not in err
    finally:
        process.kill()


def test_an_unknown_device_is_answered_with_the_list(tmp_path: Path, tone_bundle: Path, pulse: Pulse) -> None:
    process = listen(pulse, "--config", write_config(tmp_path, tone_bundle, "Theremin 3000"))
    _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert err.startswith("asit-edge: error: no input device 'Theremin 3000'; devices: 0: ")
    assert "pulse" in err
    assert err.count("\n") == 1


def test_devices_are_listed(pulse: Pulse) -> None:
    def listed() -> list[dict[str, object]]:
        command = [sys.executable, "-m", "asit_edge", "devices", "--json"]
        out = subprocess.run(command, env=pulse.environment, capture_output=True, text=True, check=True).stdout
        return [json.loads(line) for line in out.splitlines()]

    devices = wait_for(listed, 10, "devices")
    assert {"pulse", "default"} <= {device["name"] for device in devices}
    assert all(device["channels"] > 0 for device in devices)
