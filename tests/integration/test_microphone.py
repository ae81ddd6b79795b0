"""The real microphone path: PortAudio on a PulseAudio null sink, sample by sample, and as a user runs it."""

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from asit_edge.audio.clock import parse_iso
from tests.conftest import RATE, tones
from tests.integration.mosquitto import wait_for
from tests.integration.pulse import SINK, Pulse, require_alsa_pulse

RECORD = """
import sys, time
from pathlib import Path
import numpy as np
from asit_edge.audio.sources.microphone import Microphone
microphone = Microphone("mic", "pulse", None, None, 16_000).open()
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


def write_config(tmp_path: Path, tone_bundle: Path, device: str, broker: str | None = None) -> Path:
    """With a broker, where nobody answers: what is posted stays in the store, where the test finds it."""
    path = tmp_path / "config.yaml"
    config = {
        "device": "hall",
        "model": str(tone_bundle),
        "sources": [
            {"type": "microphone", "name": "mic", "device": device, "stall_after": 2, "reopen_after": 4},
        ],
        "mqtt": {"host": broker, "port": 9},
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


class Listening:
    """A listener in a process of its own; `told` collects what it says, with the time of arrival."""

    def __init__(self, pulse: Pulse, config: Path) -> None:
        self.process = listen(pulse, "--config", config)
        self.store = config.parent / "events.db"
        self.log: list[str] = []
        self.events: list[dict[str, Any]] = []
        self._threads = [threading.Thread(target=self._read_log), threading.Thread(target=self._read_events)]
        for thread in self._threads:
            thread.start()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)

    def _read_events(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def says(self, text: str, times: int = 1, seconds: float = 20) -> None:
        wait_for(lambda: sum(text in line for line in self.log) >= times, seconds, f"{times} x {text!r} in the log")

    def hears(self, count: int, seconds: float = 10) -> None:
        wait_for(lambda: len(self.events) >= count, seconds, f"{count} events")

    def stop(self) -> int:
        self.process.terminate()
        code = self.process.wait(timeout=20)
        for thread in self._threads:
            thread.join(timeout=5)
        return code

    def gaps(self) -> list[dict[str, Any]]:
        """As they wait for the broker."""
        with closing(sqlite3.connect(self.store)) as database:
            rows = database.execute("SELECT payload FROM outbox WHERE topic = 'mic/gap' ORDER BY row")
            return [json.loads(row[0]) for row in rows]


@pytest.fixture
def listening(tmp_path: Path, tone_bundle: Path, pulse: Pulse) -> Iterator[Listening]:
    listening = Listening(pulse, write_config(tmp_path, tone_bundle, "pulse", "127.0.0.1"))
    listening.says("listening at 16000 Hz")
    yield listening
    listening.process.kill()


def settled(seconds: float = 1.0) -> None:
    """What PortAudio's buffers hold must have come through, for times to be compared."""
    time.sleep(seconds)


def test_a_sound_server_that_is_killed_and_returns_leaves_a_gap_of_the_right_length(
    tmp_path: Path, pulse: Pulse, listening: Listening
) -> None:
    sound = tmp_path / "tone.wav"
    soundfile.write(sound, tones((0, 0.5), (500, 1.0), (0, 0.5)), RATE)
    settled()
    killed = time.time()
    pulse.kill()
    listening.says("mic: lost")
    time.sleep(1.5)
    pulse.start()
    returned = time.time()
    listening.says("were not heard (lost)")
    assert time.time() - returned < 5, "recovered within five seconds of the device's return"
    before = time.time()
    pulse.play(sound)
    listening.hears(2)
    assert listening.stop() == 0
    [gap] = listening.gaps()
    assert gap["cause"] == "lost"
    assert parse_iso(gap["from"]) == pytest.approx(killed, abs=0.2)
    assert parse_iso(gap["to"]) > returned
    assert gap["duration"] == pytest.approx(parse_iso(gap["to"]) - parse_iso(gap["from"]), abs=0.002)
    assert before + 0.2 < listening.events[0]["onset_epoch"] < before + 0.9, "and onsets are right after it"


def test_a_sound_server_that_stalls_for_a_while_loses_nothing(
    tmp_path: Path, pulse: Pulse, listening: Listening
) -> None:
    sound = tmp_path / "tone.wav"
    soundfile.write(sound, tones((0, 0.5), (500, 1.0), (0, 0.5)), RATE)
    settled()
    pulse.signal(signal.SIGSTOP)
    listening.says("mic: stalled")
    time.sleep(1)
    pulse.signal(signal.SIGCONT)
    listening.says("listening at", times=2)
    before = time.time()
    pulse.play(sound)
    listening.hears(2)
    assert listening.stop() == 0
    assert sum(gap["duration"] for gap in listening.gaps()) < 0.2
    assert before + 0.2 < listening.events[0]["onset_epoch"] < before + 0.9


def test_a_sound_server_that_stalls_for_long_is_opened_again(pulse: Pulse, listening: Listening) -> None:
    settled()
    stopped = time.time()
    pulse.signal(signal.SIGSTOP)
    listening.says("nothing arrived for 4 s")
    time.sleep(1.5)
    pulse.signal(signal.SIGCONT)
    returned = time.time()
    listening.says("were not heard (stalled)")
    assert time.time() - returned < 5
    assert listening.stop() == 0
    [gap] = listening.gaps()
    assert parse_iso(gap["from"]) == pytest.approx(stopped, abs=0.2)
    assert gap["duration"] == pytest.approx(returned - stopped, abs=1.0), "what opening takes is not heard either"


def test_a_microphone_that_is_unplugged_and_plugged_in_again(
    tmp_path: Path, pulse: Pulse, listening: Listening
) -> None:
    settled()
    unplugged = time.time()
    pulse.control("unload-module", "module-null-sink")
    listening.says("mic: lost")
    time.sleep(1)
    pulse.control("load-module", *SINK.split())
    returned = time.time()
    listening.says("were not heard (lost)")
    assert time.time() - returned < 5
    assert listening.stop() == 0
    [gap] = listening.gaps()
    assert parse_iso(gap["from"]) == pytest.approx(unplugged, abs=0.2)


def test_eight_microphones_in_one_process(tmp_path: Path, tone_bundle: Path, pulse: Pulse) -> None:
    sound, path = tmp_path / "tone.wav", tmp_path / "config.yaml"
    soundfile.write(sound, tones((0, 0.5), (500, 1.0), (0, 0.5)), RATE)
    names = [f"mic{number}" for number in range(8)]
    config = {
        "model": str(tone_bundle),
        "sources": [{"type": "microphone", "name": name, "device": "pulse"} for name in names],
        "store": {"path": str(tmp_path / "events.db")},
    }
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    listening = Listening(pulse, path)
    try:
        listening.says("listening at 16000 Hz", times=8)
        pulse.play(sound)
        listening.hears(16)
        assert listening.stop() == 0
        begun = {event["source"]: event["onset_epoch"] for event in listening.events if event["type"] == "new"}
        assert set(begun) == set(names)
        assert max(begun.values()) - min(begun.values()) < 0.5, "they agree on when it was"
    finally:
        listening.process.kill()


def test_a_machine_without_its_microphone_waits_for_it(tmp_path: Path, tone_bundle: Path) -> None:
    pulse = Pulse(tmp_path / "pulse")
    listening = Listening(pulse, write_config(tmp_path, tone_bundle, "pulse", "127.0.0.1"))
    try:
        listening.says("mic: lost (no input device 'pulse'; devices: ")
        pulse.start()
        returned = time.time()
        listening.says("listening at 16000 Hz")
        assert time.time() - returned < 5
        assert listening.stop() == 0
        assert [gap["cause"] for gap in listening.gaps()] in (["absent"], [])
    finally:
        listening.process.kill()
        pulse.kill()


def test_devices_are_listed(pulse: Pulse) -> None:
    def listed() -> list[dict[str, object]]:
        command = [sys.executable, "-m", "asit_edge", "devices", "--json"]
        out = subprocess.run(command, env=pulse.environment, capture_output=True, text=True, check=True).stdout
        return [json.loads(line) for line in out.splitlines()]

    devices = wait_for(listed, 10, "devices")
    assert {"pulse", "default"} <= {device["name"] for device in devices}
    assert all(device["channels"] > 0 for device in devices)
