"""What is said of a source by how it sounds, or by why it does not."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from pydantic import TypeAdapter

from asit_edge.audio.ring import Ring
from asit_edge.audio.sources.source import Source
from asit_edge.config.root import Config
from asit_edge.config.sources import SourceSettings
from asit_edge.doctor.checks import sources
from asit_edge.doctor.ear import Ear, impression
from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient
from asit_edge.errors import AsitEdgeError, WrongUse
from tests.conftest import RATE, require_programs, tones


class Capture:
    rate = RATE

    def __init__(self, block: np.ndarray, ended: str | None = None) -> None:
        self.ring = Ring(10 * RATE, block.shape[1])
        self.ring.write(block)
        self.ended = ended

    def stop(self) -> None: ...


class Opened:
    """A source that gives that, or raises it, when it is opened."""

    name, live, longest_pause = "mic", True, 2.0

    def __init__(self, what: Capture | Exception, takes: float = 0.0) -> None:
        self._what, self._takes = what, takes

    def open(self) -> Any:
        time.sleep(self._takes)
        if isinstance(self._what, Exception):
            raise self._what
        return self._what


def column(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32)[:, None]


def entry(**values: object) -> SourceSettings:
    adapter: TypeAdapter[SourceSettings] = TypeAdapter(SourceSettings)
    return adapter.validate_python(values)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LISTEN_SECONDS", 0.3)
    monkeypatch.setattr(sources, "FIRST_AUDIO", {"microphone": 0.5, "stream": 3.0})


def looked_at(monkeypatch: pytest.MonkeyPatch, source: Source, **values: object) -> list[Finding]:
    monkeypatch.setattr(sources, "open_source", lambda entry, rate: source)
    return list(sources.source_findings(entry(**{"type": "microphone", "name": "mic", **values}), Patient(Config())))


@pytest.mark.parametrize(
    ("samples", "grade", "words"),
    [
        (tones((500, 3)), "ok", "heard for 3 s: -10 dBFS, peak -10 dBFS"),
        (np.zeros(3 * RATE), "wrong", "digital silence for 3 s"),
        (np.full(3 * RATE, 0.01), "wrong", "digital silence"),
        (np.clip(9 * tones((500, 3)), -1, 1), "warning", "of its samples are at full scale"),
        (1e-5 * tones((500, 3)), "warning", "very quiet"),
        (tones((500, 0.1)), "warning", "only 0.1 s of audio came"),
    ],
)
def test_a_source_is_judged_by_how_it_sounds(samples: np.ndarray, grade: str, words: str) -> None:
    found = sources.judged("source mic", impression(samples.astype(np.float32), RATE))
    assert (found.check, found.grade) == ("source mic", grade)
    assert words in found.found
    assert bool(found.means) == (grade != "ok")


def test_what_comes_is_heard_and_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two channels one is dead: half the amplitude."""
    block = np.stack([tones((500, 2)), np.zeros(2 * RATE, np.float32)], axis=1)
    [found] = looked_at(monkeypatch, Opened(Capture(block)))
    assert (found.grade, found.found) == ("ok", "heard for 2 s: -16 dBFS, peak -16 dBFS")


def test_why_it_cannot_be_opened_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for error, remedy in (
        (AsitEdgeError("no input device; devices: none"), "arecord -l"),
        (AsitEdgeError("no input device 'yeti'; devices: 0: pulse"), "asit-edge devices"),
        (WrongUse("input device 'usb' fits more than one"), "asit-edge devices"),
        (AsitEdgeError("PortAudio is not installed (x); apt install libportaudio2"), "sudo apt install libportaudio2"),
    ):
        [found] = looked_at(monkeypatch, Opened(error))
        assert (found.grade, found.found, found.means) == ("wrong", str(error), "nothing is heard of it")
        assert found.remedy.startswith(remedy)


def test_what_hangs_while_it_is_opened_or_never_speaks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    [found] = looked_at(monkeypatch, Opened(Capture(column(np.zeros(0))), takes=2.0))
    assert (found.grade, found.found) == ("wrong", "nothing came for 0.5 s")
    [found] = looked_at(monkeypatch, Opened(Capture(column(np.zeros(0)))))
    assert (found.grade, found.found) == ("wrong", "nothing came for 0.5 s")


def test_why_it_broke_off_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    [found] = looked_at(monkeypatch, Opened(Capture(column(np.zeros(0)), ended="the server hung up")))
    assert (found.grade, found.found) == ("wrong", "the server hung up")


def test_samples_that_are_no_numbers_are_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = tones((500, 2))
    samples[::100] = np.nan
    [found] = looked_at(monkeypatch, Opened(Capture(column(samples))))
    assert found.grade == "ok"


class Heard(Patient):
    """A device whose listener hears everything."""

    @property
    def listener(self) -> int | None:
        return 4711

    def heard_recently(self, source: str) -> bool:
        return True


def test_a_stream_that_a_listener_hears_is_not_opened_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some cameras serve one at a time."""
    monkeypatch.setattr(sources, "open_source", lambda entry, rate: pytest.fail("it was opened"))
    [found] = sources.source_findings(entry(type="stream", url="rtsp://camera/1"), Heard(Config()))
    assert (found.grade, "4711" in found.found) == ("ok", True)


def test_a_microphone_that_a_listener_has_for_itself_is_not_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Opened(AsitEdgeError("microphone 'Yeti' cannot be opened: Device unavailable"))
    monkeypatch.setattr(sources, "open_source", lambda entry, rate: busy)
    [found] = sources.source_findings(entry(type="microphone"), Heard(Config()))
    assert found.grade == "ok"
    assert "hears it and has it for itself" in found.found


def test_one_that_neither_it_nor_the_listener_hears_is_worth_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be muted by quiet hours, and the device the listener's all the same."""
    busy = Opened(AsitEdgeError("microphone 'Yeti' cannot be opened: Device unavailable"))
    monkeypatch.setattr(sources, "open_source", lambda entry, rate: busy)
    monkeypatch.setattr(Heard, "heard_recently", lambda self, source: False)
    [found] = sources.source_findings(entry(type="microphone"), Heard(Config()))
    assert (found.grade, "fuser -v /dev/snd/*" in found.remedy) == ("warning", True)


def test_files_streams_and_standard_input(tmp_path: Path, tone_file: Path) -> None:
    require_programs("ffmpeg")
    patient = Patient(Config())
    [found] = sources.source_findings(entry(type="file", path=tone_file), patient)
    assert found.grade == "ok"
    [found] = sources.source_findings(entry(type="file", path=tmp_path / "none.wav"), patient)
    assert (found.grade, "none.wav" in found.found) == ("wrong", True)
    [found] = sources.source_findings(entry(type="stdin"), patient)
    assert found.grade == "ok"
    [found] = sources.source_findings(entry(type="stream", url=str(tone_file)), patient)
    assert found.grade == "ok", found
    secret = "rtsp://user:hunter2@127.0.0.1:1/stream?token=hush"
    [found] = sources.source_findings(entry(type="stream", url=secret), patient)
    assert found.grade == "wrong"
    assert "hunter2" not in found.to_json()
    assert "hush" not in found.to_json()


def test_a_device_that_opens_late_is_closed_when_nobody_wants_it_any_more() -> None:
    stopped: list[bool] = []
    capture = Capture(column(np.zeros(0)))
    capture.stop = lambda: stopped.append(True)  # type: ignore[method-assign]
    ear = Ear(Opened(capture, takes=0.2))
    ear.close()
    deadline = time.monotonic() + 5
    while not stopped and time.monotonic() < deadline:
        time.sleep(0.02)
    assert stopped == [True]


def test_every_source_has_a_check_of_its_own(tmp_path: Path) -> None:
    sound = tmp_path / "a.wav"
    soundfile.write(sound, tones((500, 0.1)), RATE)
    config = Config.model_validate(
        {"sources": [{"type": "file", "name": name, "path": os.fspath(sound)} for name in ("left", "right")]}
    )
    checks = sources.checks(Patient(config))
    assert [check.name for check in checks] == ["source left", "source right"]
    assert [next(check.look(Patient(config))).check for check in checks] == ["source left", "source right"]
