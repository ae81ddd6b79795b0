"""The library's own face: what README shows, and what anybody's Python may hand over."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import asit_edge
from asit_edge import AsitEdgeError, Detector, Event
from asit_edge.config.events import Events
from asit_edge.errors import WrongUse
from tests.conftest import RATE, ROOT, tones

SOUNDS = tones((0, 1), (500, 1), (0, 2), (3000, 1.5), (0, 1))


def facts(events: list[Event]) -> list[tuple[str, str, float]]:
    return [(event.type, event.label, event.onset_epoch) for event in events]


def test_sounds_become_events(tone_bundle: Path) -> None:
    detector = Detector(tone_bundle)
    assert detector.labels == ["Low tone", "High tone"]
    events = [*detector.push(SOUNDS, RATE), *detector.flush()]
    assert [(event.type, event.label) for event in events] == [
        ("new", "Low tone"),
        ("end", "Low tone"),
        ("new", "High tone"),
        ("end", "High tone"),
    ]
    assert events[0].onset_epoch == pytest.approx(1, abs=0.2)
    assert events[1].duration == pytest.approx(1, abs=0.3)
    assert events[0].id == events[1].id
    assert [event.seq for event in events] == [1, 2, 3, 4]


def test_it_finds_what_replay_finds(tone_bundle: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "sounds.wav", SOUNDS, RATE, subtype="FLOAT")
    command = [sys.executable, "-m", "asit_edge", "replay", "sounds.wav", "--model", str(tone_bundle), "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    replayed = [Event.model_validate_json(line) for line in done.stdout.splitlines()]
    detector = Detector(tone_bundle)
    events = [*detector.push(SOUNDS, RATE), *detector.flush()]
    assert facts(events) == facts(replayed)
    assert [event.peak for event in events] == [event.peak for event in replayed]


@settings(max_examples=10)
@given(sizes=st.lists(st.integers(1, 3 * RATE), min_size=1, max_size=8))
def test_the_size_of_blocks_changes_nothing(tone_bundle: Path, sizes: list[int]) -> None:
    whole, parts = Detector(tone_bundle), Detector(tone_bundle)
    expected = [*whole.push(SOUNDS, RATE), *whole.flush()]
    found, start = [], 0
    for size in [*sizes, len(SOUNDS)]:
        found += parts.push(SOUNDS[start : start + size], RATE)
        start += size
    assert [*found, *parts.flush()] == expected


def test_whole_numbers_and_several_channels_are_the_same_sounds(tone_bundle: Path) -> None:
    pcm = (SOUNDS * 2**15).astype(np.int16)
    wide = (SOUNDS.astype(np.float64) * 2**31).astype(np.int32)
    stereo = np.stack((SOUNDS, SOUNDS), axis=1)
    expected = facts(Detector(tone_bundle).push(SOUNDS, RATE))
    assert expected
    for samples in (pcm, wide, stereo, SOUNDS.astype(np.float64), SOUNDS.tolist()):
        assert facts(Detector(tone_bundle).push(samples, RATE)) == expected


def test_an_inverted_channel_is_heard_and_said_once(tone_bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    inverted = np.stack((SOUNDS, -SOUNDS), axis=1)
    detector = Detector(tone_bundle, source="hall")
    events = [event for start in range(0, len(SOUNDS), 999) for event in detector.push(inverted[start:][:999], RATE)]
    assert facts(events) == facts(Detector(tone_bundle).push(SOUNDS, RATE))
    [said] = caplog.messages
    assert said.startswith("hall: mixing its 2 channels loses the sound")
    assert detector.scores(inverted, RATE)["High tone"] == pytest.approx(
        detector.scores(SOUNDS, RATE)["High tone"], abs=0.01
    )


def test_a_sample_that_no_microphone_gives_does_not_deafen(tone_stream: Path) -> None:
    spoiled = SOUNDS.copy()
    spoiled[100] = 1e25
    heard = Detector(tone_stream).push(spoiled, RATE)
    beginnings = [(event.label, event.onset_epoch) for event in heard if event.type == "new"]
    assert ("Low tone", pytest.approx(1, abs=0.2)) in beginnings
    assert ("High tone", pytest.approx(4, abs=0.2)) in beginnings


def test_another_rate_ends_what_is_active_and_time_goes_on(tone_bundle: Path) -> None:
    detector = Detector(tone_bundle, start=1_800_000_000.0)
    first = detector.push(tones((0, 1), (500, 1)), RATE)
    then = detector.push(tones((500, 1), (0, 3), rate=48_000), 48_000)
    assert [event.type for event in first] == ["new"]
    assert [event.type for event in then] == ["end", "new", "end"]
    assert then[1].onset_epoch == pytest.approx(1_800_000_002, abs=0.2)


def test_flush_may_be_followed_by_more(tone_bundle: Path) -> None:
    detector = Detector(tone_bundle)
    assert detector.flush() == []
    detector.push(tones((0, 1), (500, 1)), RATE)
    assert [event.type for event in detector.flush()] == ["end"]
    more = detector.push(tones((0, 1), (500, 1), (0, 2)), RATE)
    assert [event.type for event in more] == ["new", "end"]
    assert more[0].onset_epoch == pytest.approx(3, abs=0.2)


def test_a_clip_has_scores(tone_bundle: Path) -> None:
    detector = Detector(tone_bundle)
    scores = detector.scores(tones((3000, 2)), RATE)
    assert list(scores) == ["High tone", "Low tone"]
    assert scores["High tone"] > 0.5 > scores["Low tone"]


def test_events_are_made_as_configured(tone_bundle: Path) -> None:
    detector = Detector(tone_bundle, events=Events.model_validate({"only": ["High tone"]}))
    assert {event.label for event in detector.push(SOUNDS, RATE)} == {"High tone"}


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros((2, 3, 4)), RATE, "shape"),
        (np.zeros((5, 0)), RATE, "shape"),
        (np.array(["a"]), RATE, "type"),
        (np.zeros(4, np.uint8), RATE, "type"),
        (np.array([0.0, np.nan]), RATE, "not numbers"),
        (np.zeros(4), 0, "rate 0"),
    ],
)
def test_what_are_no_samples_is_named(tone_bundle: Path, samples: np.ndarray, rate: int, message: str) -> None:
    detector = Detector(tone_bundle)
    with pytest.raises(WrongUse, match=message):
        detector.push(samples, rate)
    with pytest.raises(WrongUse, match=message):
        detector.scores(samples, rate)


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(AsitEdgeError, match="asit-stream-nano"):
        Detector("asit-stream-mini")


def test_the_face_is_what_it_says() -> None:
    for name in asit_edge.__all__:
        assert getattr(asit_edge, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = asit_edge.nothing_of_the_kind  # type: ignore[attr-defined]


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import asit_edge, sys; print([name for name in ('numpy', 'onnxruntime', 'paho') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_the_lines_in_readme_run(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    [code] = [block for block in blocks if "Detector" in block]
    assert len(code.splitlines()) <= 12
    recording = ROOT / "asit_edge" / "recordings" / "demo.flac"
    (tmp_path / "sounds.flac").symlink_to(recording)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Baby cry, infant cry" in done.stdout
