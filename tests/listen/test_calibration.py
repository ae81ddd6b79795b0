"""An ordinary day heard for its false alarms: what is counted, what counts as heard, and what cannot be used."""

import logging
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asit_edge.assembly import Model, load_model
from asit_edge.calibrate.choice import Tally, outcomes
from asit_edge.calibrate.ladder import RUNGS, ladder
from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError
from asit_edge.listen.calibration import count_files, count_sources, together
from tests.conftest import RATE, tones
from tests.listen.test_loop import BLOCK, HandFed
from tests.listen.virtual import Instantly, VirtualClock

NEVER: Callable[[], bool] = lambda: False  # noqa: E731


def files(model: Model, config: Config, *paths: Path, stopping: Callable[[], bool] = NEVER) -> list[Tally]:
    shares: list[float] = []
    tallies = count_files(paths, config, model, ladder(model.manifest), stopping, shares.append)
    assert shares[-1] == 1.0 or stopping()
    return tallies


def settings(bundle: Path, **more: Any) -> Config:
    return Config.model_validate({"model": str(bundle), "backend": "onnxruntime", **more})


@pytest.fixture(params=["tone_bundle", "tone_stream"])
def bundle(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def test_recordings_are_counted_at_every_threshold_as_replay_hears_them(bundle: Path, tone_file: Path) -> None:
    config = settings(bundle)
    [tally] = files(load_model(config), config, tone_file)
    assert tally.source == str(tone_file)
    assert tally.hours == pytest.approx(10 / 3600)
    assert tally.events[:, 0].tolist() == [2, 1]
    assert tally.events.shape == (2, RUNGS)


def test_recordings_count_together(tone_bundle: Path, tone_file: Path) -> None:
    config = settings(tone_bundle)
    both = together(files(load_model(config), config, tone_file, tone_file))
    assert both.hours == pytest.approx(20 / 3600)
    assert both.events[:, 0].tolist() == [4, 2]


def test_digital_silence_does_not_count_as_heard(tone_bundle: Path, tmp_path: Path) -> None:
    config = settings(tone_bundle)
    partly = tmp_path / "partly.wav"
    parts = [tones((0, 2)), np.zeros(20 * RATE), tones((0, 2)), np.zeros(RATE), tones((0, 1))]
    soundfile.write(partly, np.concatenate(parts), RATE, subtype="FLOAT")
    [tally] = files(load_model(config), config, partly)
    assert tally.hours * 3600 == pytest.approx(6, abs=0.01)


def test_what_cannot_be_used_is_named_and_the_rest_is_heard(
    tone_bundle: Path, tone_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = settings(tone_bundle)
    silent, noise = tmp_path / "silent.wav", tmp_path / "noise.wav"
    soundfile.write(silent, np.zeros(10 * RATE), RATE)
    noise.write_bytes(b"no audio")
    unusable = [tmp_path / "absent.wav", silent, noise]
    [tally] = files(load_model(config), config, *unusable, tone_file)
    assert tally.source == str(tone_file)
    assert [str(path) in line for path, line in zip(unusable, caplog.messages, strict=True)] == [True] * 3
    assert "nothing but digital silence; whatever recorded it was switched off or muted" in caplog.messages[1]
    with pytest.raises(AsitEdgeError, match="nothing was heard: there is no recording that could be used"):
        files(load_model(config), config, *unusable)


def test_recordings_are_left_early_when_it_is_time_to_stop(tone_bundle: Path, tone_file: Path) -> None:
    config, asked = settings(tone_bundle), iter([False, True, True])
    [tally] = files(load_model(config), config, tone_file, tone_file, stopping=lambda: next(asked, True))
    assert tally.hours * 3600 == pytest.approx(1.0)


class Day:
    """Sources that are fed while `count_sources` listens, on a clock that turns with them."""

    def __init__(self, bundle: Path, *voices: np.ndarray | None, **more: Any) -> None:
        """A voice is what a source delivers; None for one that is not there."""
        names = [f"mic{number}" for number in range(len(voices))]
        self.config = settings(bundle, sources=[{"type": "microphone", "name": name} for name in names], **more)
        self.model = load_model(self.config)
        self.sources = [HandFed(name) for name in names]
        for source, voice in zip(self.sources, voices, strict=True):
            source.there = voice is not None
        self.voices = voices
        self.clock = VirtualClock()
        self.shares: list[float] = []
        self.at = 0

    def rest(self, seconds: float) -> None:
        self.clock.advance(BLOCK / RATE)
        for source, voice in zip(self.sources, self.voices, strict=True):
            if source.capture and voice is not None and self.at + BLOCK <= len(voice):
                source.capture.ring.write(np.float32(voice[self.at : self.at + BLOCK])[:, None], self.clock.steady())
        self.at += BLOCK

    def count(self, seconds: float, stopping: Callable[[], bool] = NEVER) -> list[Tally]:
        steps = ladder(self.model.manifest)
        return count_sources(
            *(self.config, self.model, steps, self.sources, seconds, self.clock),  # type: ignore[arg-type]
            *(stopping, self.rest, self.shares.append, Instantly),  # type: ignore[arg-type]
        )


LOW, HIGH = tones((0, 2), (500, 1), (0, 3), (500, 1), (0, 13)), tones((0, 5), (3000, 1), (0, 14))


def test_sources_are_heard_side_by_side(bundle: Path) -> None:
    day = Day(bundle, LOW, HIGH)
    tallies = day.count(15)
    assert [tally.source for tally in tallies] == ["mic0", "mic1"]
    assert [tally.events[:, 0].tolist() for tally in tallies] == [[2, 0], [0, 1]]
    assert [tally.hours * 3600 for tally in tallies] == pytest.approx([15, 15], abs=0.5)
    assert all(before <= after <= 1.0 for before, after in pairwise(day.shares))
    assert day.shares[-1] == 1.0


def test_a_gap_does_not_count_as_heard(tone_bundle: Path) -> None:
    [tally] = Day(tone_bundle, LOW[: 8 * RATE]).count(60)
    assert tally.hours * 3600 == pytest.approx(8, abs=0.1)


def test_what_was_heard_so_far_is_used_when_it_is_time_to_stop(tone_bundle: Path) -> None:
    day = Day(tone_bundle, LOW)
    [tally] = day.count(3600, stopping=lambda: day.at >= 5 * RATE)
    assert tally.hours * 3600 == pytest.approx(5, abs=0.1)
    assert tally.events[:, 0].tolist() == [1, 0]


def test_a_source_that_is_not_heard_is_named_and_the_others_are_used(
    tone_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    [tally] = Day(tone_bundle, None, LOW).count(10)
    assert tally.source == "mic1"
    assert "mic0: nothing was heard of it (lost, no input device); it is left out" in caplog.messages


def test_a_device_that_is_silent_is_said_to_be(tone_bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AsitEdgeError, match="nothing was heard of mic0"):
        Day(tone_bundle, np.zeros(60 * RATE)).count(40)
    assert any("its device is silent: every sample is the same; is it switched off" in line for line in caplog.messages)


def test_nothing_is_announced_nor_printed(
    tone_bundle: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        Day(tone_bundle, LOW).count(10)
    assert capsys.readouterr().out == ""
    assert caplog.messages == ["mic0: listening at 16000 Hz, 1 channel(s)"]


def test_what_a_source_is_configured_to_do_counts(tone_bundle: Path) -> None:
    day = Day(tone_bundle, LOW, events={"labels": {"Low tone": {"min_duration": 5}}})
    [tally] = day.count(15)
    assert tally.events[:, 0].tolist() == [0, 0]


def test_after_a_calibration_the_same_recording_alarms_no_more_than_wanted(tone_bundle: Path, tmp_path: Path) -> None:
    """A faint tone is below a higher threshold, a loud one at the highest still."""
    faint, loud = tones((0, 2), (500, 1), (0, 3)) * np.float32(0.12), tones((3000, 1), (0, 3))
    path = tmp_path / "day.wav"
    soundfile.write(path, np.concatenate([faint, loud]), RATE, subtype="FLOAT")
    config = settings(tone_bundle)
    model = load_model(config)
    steps = ladder(model.manifest)
    low, high = outcomes(steps, files(model, config, path), wanted=1.0)
    assert (low.events, low.a_day, low.changed) == (1, 0, True)
    assert high.events == 1
    assert high.a_day == pytest.approx(24 * 3600 / 10)
