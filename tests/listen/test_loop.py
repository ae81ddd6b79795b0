"""Listening to sources whose audio the test writes, on a clock that the test turns: gaps, mutes, commands, load."""

import io
import json
import logging
import queue
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asit_edge.adjust.in_force import InForce
from asit_edge.assembly import Model, load_model
from asit_edge.audio.clock import parse_iso
from asit_edge.audio.ring import Ring
from asit_edge.audio.sources.source import Capture
from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.listen.last_heard import LastHeard
from asit_edge.listen.loop import ListeningLoop
from asit_edge.messages.event import Event
from asit_edge.messages.report import Adjusted, Gap, Level, Status
from asit_edge.model.bundle import Manifest
from asit_edge.mqtt.commands import Command
from asit_edge.observe.observer import Observer
from asit_edge.teach.vocabulary import _gone
from tests.conftest import RATE, tones
from tests.detect.test_pipeline import Poisoned
from tests.listen.virtual import Instantly, VirtualClock

BLOCK = RATE // 50


class HandFed:
    """A source whose audio the test writes: it opens when it may, as often as it must."""

    live = True
    longest_pause: float | None = 2.0

    def __init__(self, name: str, seconds: float = 30) -> None:
        self.name = name
        self.there = True
        self.error: AsitEdgeError = AsitEdgeError("no input device")
        self.opened = 0
        self.capture: FedCapture | None = None
        self._capacity = round(seconds * RATE)

    def open(self) -> Capture:
        if not self.there:
            raise self.error
        self.opened += 1
        self.capture = FedCapture(self._capacity)
        return self.capture


class FedCapture:
    rate = RATE

    def __init__(self, capacity: int) -> None:
        self.ring = Ring(capacity)
        self.ended: str | None = None
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True
        self.ended = self.ended or ""


class Notes:
    """An announcer that remembers what it was told."""

    def __init__(self) -> None:
        self.commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self.told: list[Event] = []
        self.statuses: list[Status] = []
        self.levels: list[Level] = []
        self.gaps: list[Gap] = []
        self.thresholds: list[tuple[str, str, float]] = []
        self.adjustments: list[Adjusted] = []

    def start(self) -> None: ...

    def stop(self, seconds: float) -> None: ...

    def events(self, source: str, events: list[Event]) -> list[Event]:
        assert all(event.source == source for event in events)
        self.told += events
        return events

    def status(self, status: Status) -> None:
        self.statuses.append(status)

    def level(self, level: Level) -> None:
        self.levels.append(level)

    def gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    def know(self, manifest: Manifest) -> None: ...

    def threshold(self, source: str, label: str, on: float) -> None:
        self.thresholds.append((source, label, on))

    def adjusted(self, adjusted: Adjusted) -> None:
        self.adjustments.append(adjusted)


class Onlooker(Observer):
    """Keeps what an observer sees of the loop."""

    def __init__(self) -> None:
        self.blocks: list[tuple[float, np.ndarray]] = []
        self.scores: list[tuple[float, np.ndarray]] = []
        self.streams = 0

    def heard(self, source: str, epoch: float, samples: np.ndarray, rate: int) -> None:
        assert rate == RATE
        self.blocks.append((epoch, samples))

    def scored(self, source: str, epoch: float, scores: np.ndarray) -> None:
        self.scores.append((epoch, scores))

    def decided(self, streams: int, seconds: float) -> None:
        assert seconds >= 0
        self.streams += streams


class Scene:
    """Sources, a listener, and time that passes when the test says so."""

    def __init__(self, bundle: Path, names: Sequence[str] = ("mic",), **config: Any) -> None:
        sources = config.pop("sources", [{"type": "microphone", "name": name} for name in names])
        self.config = Config.model_validate({"device": "hall", "model": str(bundle), "sources": sources, **config})
        self.model: Model = load_model(self.config)
        self.clock = VirtualClock()
        self.sources = [HandFed(entry.name) for entry in self.config.sources]
        self.notes = Notes()
        self.began = self.clock.wall()
        self.out = io.StringIO()
        self.observer = Onlooker()
        self.in_force = InForce()
        self.make()

    def make(self, heard: LastHeard | None = None) -> None:
        arguments = (self.config, self.model, self.sources, self.notes, self.out, self.clock, Instantly, heard)
        more = {"observer": self.observer, "in_force": self.in_force}
        self.loop = ListeningLoop(*arguments, **more)  # type: ignore[arg-type]
        self.loop.start()

    @property
    def mic(self) -> HandFed:
        return self.sources[0]

    def play(self, samples: np.ndarray, *others: np.ndarray, silent: Sequence[str] = ()) -> None:
        """Into the first source, and the others, in blocks of 20 ms; sources without samples of their own hear noise.

        Those named in `silent` deliver nothing at all.
        """
        blocks = len(samples) // BLOCK
        voices = [samples, *others]
        voices += [1e-4 * np.random.default_rng(index).standard_normal(len(samples)) for index in range(8)]
        for block in range(blocks):
            self.clock.advance(BLOCK / RATE)
            for source, voice in zip(self.sources, voices):  # noqa: B905
                capture = source.capture
                if capture and capture.ended is None and source.name not in silent:
                    part = np.float32(voice[block * BLOCK : (block + 1) * BLOCK])[:, None]
                    capture.ring.write(part, self.clock.steady())
            self.settle()

    def noise(self, seconds: float, **more: Any) -> None:
        self.play(tones((0, seconds)), **more)

    def wait(self, seconds: float) -> None:
        """Time passes, nothing comes."""
        for _ in range(round(seconds / 0.1)):
            self.clock.advance(0.1)
            self.settle()

    def command(self, name: str, label: str | None, value: bool | float | None) -> None:
        """To the first source."""
        self.notes.commands.put(Command(self.mic.name, name, label, value))

    def settle(self) -> None:
        while self.loop.tick():
            pass

    def stop(self) -> None:
        self.loop.stop()

    def ends(self) -> list[tuple[str, str, float, float]]:
        """Source, label, onset and offset (seconds after the beginning) of every event that has ended."""
        return [
            (event.source, event.label, event.onset_epoch - self.began, parse_iso(event.offset) - self.began)
            for event in self.notes.told
            if event.type == "end" and event.offset
        ]

    def gaps(self) -> list[tuple[str, float, float]]:
        """Cause, begin and duration."""
        return [(gap.cause, parse_iso(gap.begin) - self.began, gap.duration) for gap in self.notes.gaps]

    def states(self) -> list[str]:
        found: list[str] = []
        for status in self.notes.statuses:
            if not found or found[-1] != status.state:
                found.append(status.state)
        return found


@pytest.fixture
def scene(tone_bundle: Path) -> Callable[..., Scene]:
    return lambda *arguments, **config: Scene(tone_bundle, *arguments, **config)


def test_what_sounds_becomes_an_event(scene: Callable[..., Scene]) -> None:
    story = scene()
    story.play(tones((0, 2), (500, 1), (0, 2)))
    assert story.states() == ["starting", "listening"]
    [(source, label, onset, offset)] = story.ends()
    assert (source, label) == ("mic", "Low tone")
    assert (onset, offset) == (pytest.approx(2, abs=0.17), pytest.approx(3, abs=0.17))
    story.stop()
    assert story.notes.gaps == []
    assert story.states()[-1] == "stopped"
    assert story.notes.statuses[-1].heard == pytest.approx(5, abs=0.05)


def test_an_observer_sees_what_is_heard_with_its_times_and_every_score(scene: Callable[..., Scene]) -> None:
    story = scene()
    sound = tones((0, 1), (500, 1), (0, 1))
    story.play(sound)
    story.stop()
    heard = np.concatenate([samples for _, samples in story.observer.blocks])
    assert len(heard) >= len(sound) - BLOCK  # the source is opened during the first block
    np.testing.assert_array_equal(heard, np.float32(sound[-len(heard) :]))
    times = [epoch for epoch, _ in story.observer.blocks]
    ends = [epoch + len(samples) / RATE for epoch, samples in story.observer.blocks]
    assert times[0] == pytest.approx(story.began, abs=0.045)
    assert times[1:] == pytest.approx(ends[:-1], abs=0.002)
    assert story.observer.streams == len(story.observer.scores)
    loud = [epoch - story.began for epoch, scores in story.observer.scores if scores[:, 0].max() > 0.5]
    assert (min(loud), max(loud)) == (pytest.approx(1.1, abs=0.2), pytest.approx(2.1, abs=0.2))


def test_after_a_gap_the_observer_is_told_the_time_that_it_was_heard_at(scene: Callable[..., Scene]) -> None:
    story = scene()
    story.noise(2)
    assert story.mic.capture is not None
    story.mic.capture.ended = "unplugged"
    story.wait(3)
    before = len(story.observer.blocks)
    story.noise(2)
    epoch, _ = story.observer.blocks[before]
    assert epoch - story.began == pytest.approx(5, abs=0.3)


def test_a_lost_device_ends_events_is_opened_again_and_leaves_a_gap(scene: Callable[..., Scene]) -> None:
    story = scene()
    story.play(tones((500, 4)))
    story.mic.there = False
    assert story.mic.capture is not None
    story.mic.capture.ended = "unplugged"
    story.wait(7)
    [(_, _, _, offset)] = story.ends()
    assert offset == pytest.approx(4, abs=0.17)
    assert story.states() == ["starting", "listening", "lost"]
    assert "no input device" in story.notes.statuses[-1].detail
    assert story.notes.gaps == [], "the gap has no end yet"
    story.mic.there = True
    story.wait(2)
    story.play(tones((500, 3)))
    assert story.states() == ["starting", "listening", "lost", "recovering", "listening"]
    assert story.gaps() == [("lost", pytest.approx(4, abs=0.05), pytest.approx(9, abs=0.05))]
    story.stop()
    assert story.ends()[1][2] == pytest.approx(13, abs=0.17), "times go on by the clock, across the gap"
    last = story.notes.statuses[-1]
    assert (last.gaps, last.lost, last.heard) == (1, pytest.approx(9, abs=0.05), pytest.approx(7, abs=0.05))


def test_a_device_that_is_absent_at_first_is_awaited(scene: Callable[..., Scene]) -> None:
    story = scene()
    story.mic.there = False
    story.wait(60)
    assert story.states() == ["starting", "lost"]
    assert len(story.notes.statuses) == 2, "the same state is not told again and again"
    story.mic.there = True
    story.wait(2)
    story.play(tones((500, 2), (0, 2)))
    assert story.gaps() == [("absent", 0, pytest.approx(62, abs=0.05))]
    assert story.ends()[0][2] == pytest.approx(62, abs=0.17)


def test_what_only_a_new_configuration_can_cure_is_failed_and_still_tried(scene: Callable[..., Scene]) -> None:
    story = scene()
    story.mic.there, story.mic.error = False, WrongUse("it has 1 channel(s), not channel 7")
    story.wait(5)
    assert story.states() == ["starting", "failed"]
    story.mic.there = True
    story.wait(40)
    assert story.mic.opened > 0


def test_a_stall_that_kept_its_audio_loses_nothing(scene: Callable[..., Scene]) -> None:
    story = scene()
    story.noise(5)
    story.wait(6)
    assert story.states()[-1] == "stalled"
    assert story.mic.capture is not None
    backlog = tones((0, 2), (500, 2), (0, 2))[:, None]
    story.mic.capture.ring.write(backlog, story.clock.steady())  # all at once
    story.noise(3)
    assert story.states()[-1] == "listening"
    assert story.gaps() == []
    assert story.ends()[0][2:] == (pytest.approx(7, abs=0.17), pytest.approx(9, abs=0.17))


def test_a_stall_that_lost_audio_is_a_gap_of_what_is_missing(scene: Callable[..., Scene]) -> None:
    story = scene()
    story.noise(5)
    story.wait(8)
    assert story.mic.capture is not None
    story.mic.capture.ring.write(tones((0, 2))[:, None], story.clock.steady())  # two seconds of eight were kept
    story.play(tones((0, 3), (500, 1), (0, 2)))
    assert story.gaps() == [("stalled", pytest.approx(5, abs=0.05), pytest.approx(6, abs=0.05))]
    assert story.ends()[0][2] == pytest.approx(16, abs=0.17)


def test_a_stalled_device_is_opened_again_in_the_end(scene: Callable[..., Scene]) -> None:
    story = scene()
    story.noise(5)
    first = story.mic.capture
    story.wait(12)
    assert story.mic.opened == 2
    assert first is not None
    assert first.stopped
    story.noise(3)
    assert [(cause, round(length)) for cause, _, length in story.gaps()] == [("stalled", 12)]


def test_samples_that_vanish_on_the_way_are_noticed(scene: Callable[..., Scene]) -> None:
    story = scene()
    story.noise(10)
    for _ in range(5):  # half a second in which the device delivers nothing, and never will
        story.clock.advance(0.1)
        story.settle()
    story.noise(10)
    assert story.gaps() == [("overrun", pytest.approx(12, abs=3), pytest.approx(0.5, abs=0.05))]


def test_a_suspended_machine_is_a_gap_with_that_cause(scene: Callable[..., Scene]) -> None:
    story = scene()
    story.play(tones((500, 5)))
    story.clock.sleep(3_600)
    story.play(tones((0, 3)))
    assert story.gaps() == [("suspend", pytest.approx(5, abs=0.05), pytest.approx(3_600, abs=0.05))]
    assert story.ends()[0][3] == pytest.approx(5, abs=0.17)


def test_a_device_that_needs_a_moment_after_a_suspend_is_left_alone(scene: Callable[..., Scene]) -> None:
    story = scene()
    story.noise(5)
    story.clock.sleep(600)
    story.wait(1)
    story.noise(3)
    assert story.gaps() == [("suspend", pytest.approx(5, abs=0.05), pytest.approx(601, abs=0.05))]
    assert story.mic.opened == 1


def test_the_time_between_two_runs_is_a_gap(
    scene: Callable[..., Scene], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "heard.json"
    story = scene()
    story.make(LastHeard(file))
    story.noise(25)
    assert story.notes.gaps == [], "nothing is known of a time before the first run"
    story.clock.advance(600)  # killed: the last note is up to ten seconds old
    story.make(LastHeard(file))
    story.noise(5)
    [(cause, begin, duration)] = story.gaps()
    assert cause == "restart"
    assert 15 <= begin <= 25.1
    assert begin + duration == pytest.approx(625, abs=0.05)
    story.stop()
    story.clock.advance(60)
    story.make(LastHeard(file))  # ended as it should: the note is exact
    story.noise(5)
    assert story.gaps()[1] == ("restart", pytest.approx(630, abs=0.05), pytest.approx(60, abs=0.05))
    file.write_text("[1, 2", encoding="utf-8")
    assert LastHeard(file).last("mic") is None
    assert "gaps since the last run are not told" in caplog.text


def test_digital_silence_is_not_taken_for_quiet(scene: Callable[..., Scene]) -> None:
    story = scene()
    story.noise(5)
    story.play(np.zeros(50 * RATE, np.float32))
    assert story.states()[-1] == "silent_device"
    story.play(tones((0, 2), (500, 1), (0, 2)))
    assert story.states()[-1] == "listening"
    assert story.gaps() == [("digital silence", pytest.approx(5, abs=0.05), pytest.approx(50, abs=0.05))]
    assert story.ends()[0][2] == pytest.approx(57, abs=0.17)
    story.stop()
    assert story.notes.statuses[-1].heard == pytest.approx(10, abs=0.05)


def test_a_clock_that_is_stepped_and_stepped_back_moves_nothing(scene: Callable[..., Scene]) -> None:
    story = scene()
    story.noise(10)
    story.clock.step(3_600)
    story.play(tones((0, 5), (500, 1), (0, 4)))
    story.clock.step(-3_600)
    story.play(tones((0, 70), (500, 1), (0, 4)))
    assert [event[2] for event in story.ends()] == [pytest.approx(15, abs=0.17), pytest.approx(90, abs=0.17)]
    assert story.gaps() == []


def test_a_clock_that_was_set_for_good_is_followed_when_nothing_sounds(
    scene: Callable[..., Scene], caplog: pytest.LogCaptureFixture
) -> None:
    story = scene()
    story.noise(10)
    story.clock.step(3_600)
    with caplog.at_level(logging.WARNING):
        story.play(tones((500, 80), (0, 3), (500, 1), (0, 3)))
    assert "re-anchored by +3600.000 s" in caplog.text
    assert "re-anchored" in story.notes.statuses[-1].detail
    (_, _, onset, offset), (_, _, second, _) = story.ends()
    assert offset - onset == pytest.approx(80, abs=0.34), "what sounds keeps its times"
    assert onset == pytest.approx(10, abs=0.17)
    assert second == pytest.approx(93 + 3_600, abs=0.17)


def test_a_device_whose_second_is_too_long_is_followed_without_gaps(scene: Callable[..., Scene]) -> None:
    story = scene()
    for _ in range(30):  # 0.1 % slow: 16 ms late every 16 s
        story.noise(10)
        story.clock.advance(0.01)
    assert story.gaps() == []
    story.play(tones((500, 1), (0, 2)))
    assert story.ends()[0][2] == pytest.approx(300.3, abs=0.25)


def test_a_muted_source_hears_nothing_and_says_so(scene: Callable[..., Scene]) -> None:
    story = scene(["mic", "other"])
    story.play(tones((500, 4)))
    story.notes.commands.put(Command("mic", "listen", None, False))
    story.play(tones((500, 10)))
    assert len(story.ends()) == 1
    assert [status.state for status in story.notes.statuses if status.source == "mic"][-1] == "muted"
    story.notes.commands.put(Command("mic", "listen", None, True))
    story.play(tones((0, 2), (500, 1), (0, 2)))
    assert story.gaps() == [("muted", pytest.approx(4, abs=0.05), pytest.approx(10, abs=0.05))]
    assert story.ends()[1][2] == pytest.approx(16, abs=0.17)


def test_a_threshold_can_be_changed_while_listening(scene: Callable[..., Scene]) -> None:
    faint = np.float32(0.3) * tones((0, 2), (500, 1), (0, 2))
    for threshold, heard in ((0.5, ["Low tone"]), (0.999, [])):
        story = scene()
        story.notes.commands.put(Command("mic", "threshold", "Low tone", threshold))
        story.play(faint)
        assert [label for _, label, _, _ in story.ends()] == heard


def test_a_threshold_that_is_taken_back_is_as_configured_again(scene: Callable[..., Scene]) -> None:
    story = scene()
    faint = np.float32(0.3) * tones((0, 2), (500, 1), (0, 2))
    for value, heard in ((0.999, 0), (None, 1), (0.99, 1)):
        story.command("threshold", "Low tone", value)
        story.play(faint)
        assert len(story.ends()) == heard
    assert story.notes.thresholds == [("mic", "Low tone", 0.999), ("mic", "Low tone", 0.5), ("mic", "Low tone", 0.99)]
    told = [{label: one.threshold for label, one in each.labels.items()} for each in story.notes.adjustments]
    assert told == [{"Low tone": 0.999}, {}, {"Low tone": 0.99}]


def test_a_label_that_is_not_reported_ends_its_event_until_it_is_again(scene: Callable[..., Scene]) -> None:
    story = scene(["mic", "other"])
    loud = tones((500, 4))
    story.play(loud, loud)
    story.command("report", "Low tone", False)
    story.play(loud, loud)
    [(source, label, onset, offset)] = story.ends()
    assert (source, label) == ("mic", "Low tone"), "the other source is another matter"
    assert offset - onset == pytest.approx(4, abs=0.34), "it ends when it is switched off"
    assert story.states()[-1] == "listening"
    story.play(tones((3000, 1), (0, 2)))
    assert [label for source, label, _, _ in story.ends() if source == "mic"] == ["Low tone", "High tone"]
    story.command("report", "Low tone", True)
    story.play(tones((0, 2), (500, 1), (0, 2)))
    assert [label for source, label, _, _ in story.ends() if source == "mic"][2:] == ["Low tone"]
    assert [one.labels["Low tone"].report for one in story.notes.adjustments if one.labels] == [False]


def test_a_snoozed_label_is_reported_again_by_itself(scene: Callable[..., Scene]) -> None:
    story = scene()
    story.command("snooze", "Low tone", 10.0)
    story.play(tones((500, 1), (0, 2), (3000, 1), (0, 4)))
    assert [label for _, label, _, _ in story.ends()] == ["High tone"]
    story.play(tones((0, 3), (500, 1), (0, 2)))
    assert [label for _, label, _, _ in story.ends()] == ["High tone", "Low tone"]
    assert [len(one.labels) for one in story.notes.adjustments] == [1, 0]


@pytest.mark.usefixtures("utc")
def test_a_snoozed_source_is_muted_until_a_time_that_it_says(scene: Callable[..., Scene]) -> None:
    story = scene(["mic", "other"])
    story.play(tones((500, 4)))
    story.command("snooze", None, 600.0)
    story.noise(10)
    assert len(story.ends()) == 1, "what sounded has ended"
    last = [status for status in story.notes.statuses if status.source == "mic"][-1]
    assert (last.state, last.detail) == ("muted", "snoozed until 08:11")  # it is 08:01:40
    story.command("snooze", None, 20.0)
    story.noise(10)
    last = [status for status in story.notes.statuses if status.source == "mic"][-1]
    assert (last.state, last.detail) == ("muted", "snoozed until 08:02")
    story.noise(15)
    assert [status.state for status in story.notes.statuses if status.source == "mic"][-1] == "listening"
    assert story.gaps() == [("muted", pytest.approx(4, abs=0.05), pytest.approx(30, abs=1.1))]
    story.command("snooze", None, 600.0)
    story.noise(2)
    story.command("snooze", None, 0.0)
    story.noise(2)
    assert [status.state for status in story.notes.statuses if status.source == "mic"][-1] == "listening"


def test_a_clock_that_is_set_moves_the_end_of_no_snooze(scene: Callable[..., Scene]) -> None:
    story = scene()
    story.command("snooze", None, 20.0)
    for jump in (5_000.0, -1e8):
        story.clock.step(jump)
        story.noise(8)
        assert story.states()[-1] == "muted"
    story.noise(6)
    assert story.states()[-1] == "listening"


@pytest.mark.usefixtures("utc")
def test_a_snooze_and_quiet_hours_each_end_in_their_own_time(scene: Callable[..., Scene]) -> None:
    hours = [{"begin": "08:00", "end": "08:02", "labels": ["Low tone"]}]  # it is 08:01:40
    story = scene(events={"quiet_hours": hours})
    story.command("snooze", "High tone", 30.0)
    sound = tones((0, 2), (500, 1), (0, 2), (3000, 1), (0, 4))
    story.play(sound)
    assert story.ends() == []
    story.noise(12)
    story.play(sound)
    assert [label for _, label, _, _ in story.ends()] == ["Low tone"], "the snooze lasts"
    story.play(sound)
    assert [label for _, label, _, _ in story.ends()] == ["Low tone", "Low tone", "High tone"]


def test_what_was_adjusted_before_holds_from_the_first_sample(scene: Callable[..., Scene]) -> None:
    story = scene()
    for command in (
        Command("mic", "report", "Low tone", False),
        Command("mic", "threshold", "High tone", 0.999),
        Command("attic", "listen", None, False),
    ):
        story.in_force.obey(command, story.clock.wall())
    story.make()
    story.play(np.float32(0.3) * tones((500, 2), (3000, 1), (0, 2)))
    assert story.ends() == []
    assert story.notes.thresholds == [("mic", "High tone", 0.999)]
    [told] = story.notes.adjustments
    assert (told.source, set(told.labels)) == ("mic", {"Low tone", "High tone"})


class Learning:
    """A vocabulary whose second label is switched off and on while it listens."""

    def __init__(self, manifest: Manifest) -> None:
        known, other = manifest.labels
        on = [known, other.model_copy(update={"taught": True})]
        self._manifests = [manifest.model_copy(update={"labels": labels}) for labels in (on, [known, _gone(on[1])], on)]
        self.manifest = self._manifests.pop(0)
        self.news = False

    def take(self) -> bool:
        if self.news:
            self.manifest = self._manifests.pop(0)
        taken, self.news = self.news, False
        return taken


def test_a_taught_sound_that_comes_back_is_as_it_was_adjusted(scene: Callable[..., Scene]) -> None:
    story = scene()
    vocabulary = Learning(story.model.manifest)
    story.model = replace(story.model, vocabulary=vocabulary)  # type: ignore[arg-type]
    story.make()
    story.command("threshold", "Low tone", 0.999)
    story.command("threshold", "High tone", 0.999)
    faint = np.float32(0.3) * tones((500, 1), (3000, 1), (0, 2))
    for _ in range(2):
        story.play(faint)
        vocabulary.news = True
    story.play(faint)
    assert story.ends() == []
    assert story.notes.thresholds[-1] == ("mic", "High tone", 0.999), "told again"
    story.command("threshold", "High tone", None)
    story.in_force.obey(Command("mic", "threshold", "Low tone", None), story.clock.wall())
    story.play(faint)
    assert [label for _, label, _, _ in story.ends()] == ["Low tone", "High tone"]


def test_what_is_taken_back_as_labels_come_is_taken_back(scene: Callable[..., Scene]) -> None:
    story = scene()
    vocabulary = Learning(story.model.manifest)
    story.model = replace(story.model, vocabulary=vocabulary)  # type: ignore[arg-type]
    story.make()
    story.command("threshold", "Low tone", 0.999)
    story.noise(1)
    story.in_force.obey(Command("mic", "threshold", "Low tone", None), story.clock.wall())
    vocabulary.news = True
    story.play(np.float32(0.3) * tones((500, 1), (0, 2)))
    assert [label for _, label, _, _ in story.ends()] == ["Low tone"]
    assert story.notes.thresholds[-1] == ("mic", "Low tone", 0.5)


def test_labels_that_are_not_there_are_named_once_and_change_nothing(
    scene: Callable[..., Scene], caplog: pytest.LogCaptureFixture
) -> None:
    story = scene()
    for value in (0.9, 0.8):
        story.command("threshold", "Tuba", value)
        story.play(tones((500, 1), (0, 2)))
    assert caplog.text.count("nothing comes of 'Tuba' of mic, which the model does not have") == 1
    assert [label for _, label, _, _ in story.ends()] == ["Low tone", "Low tone"]
    assert all(one.labels == {} for one in story.notes.adjustments)


def test_quiet_hours_of_a_label_pass_over_it(scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    hours = [{"begin": "00:00", "end": "23:59", "labels": ["Low tone"]}]
    story = scene(events={"quiet_hours": hours})
    story.play(tones((0, 2), (500, 1), (3000, 1), (0, 2)))
    assert [label for _, label, _, _ in story.ends()] == ["High tone"]
    assert story.states()[-1] == "listening"


def test_quiet_hours_of_everything_mute_the_source(scene: Callable[..., Scene]) -> None:
    story = scene(["mic", "other"], events={"quiet_hours": [{"begin": "00:00", "end": "23:59", "sources": ["mic"]}]})
    story.play(tones((0, 2), (500, 1), (0, 2)), tones((0, 2), (500, 1), (0, 2)))
    assert [source for source, _, _, _ in story.ends()] == ["other"]
    assert [status.state for status in story.notes.statuses if status.source == "mic"][-1] == "muted"
    assert "quiet hours until 23:59" in [status.detail for status in story.notes.statuses if status.source == "mic"]


def test_a_source_has_settings_of_its_own(scene: Callable[..., Scene]) -> None:
    own = {"only": ["High tone"], "labels": {"High tone": {"min_duration": 0.5}}}
    story = scene(sources=[{"type": "microphone", "name": "mic", "events": own}, {"type": "microphone", "name": "b"}])
    sound = tones((0, 2), (500, 1), (0, 2), (3000, 0.2), (0, 2), (3000, 1), (0, 2))
    story.play(sound, sound)
    labels = [(source, label) for source, label, _, _ in story.ends()]
    assert labels.count(("mic", "High tone")) == 1
    assert ("mic", "Low tone") not in labels
    assert labels.count(("b", "High tone")) == 2


def test_one_sound_in_a_room_is_reported_once(scene: Callable[..., Scene]) -> None:
    story = scene(["left", "right"], events={"same_room": [["left", "right"]]})
    story.play(tones((0, 2), (500, 2.0), (0, 3)), tones((0, 2.3), (500, 3.0), (0, 1.7)))
    [(source, label, onset, offset)] = story.ends()
    assert (source, label) == ("left", "Low tone")
    assert (onset, offset) == (pytest.approx(2, abs=0.17), pytest.approx(5.3, abs=0.17))


def test_eight_sources_share_one_batch(scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch) -> None:
    story = scene([f"mic{number}" for number in range(8)])
    batches: list[int] = []
    step = type(story.model.classifier).step

    def watched(self: Any, chunks: np.ndarray, memories: Any) -> Any:
        batches.append(len(chunks))
        return step(self, chunks, memories)

    monkeypatch.setattr(type(story.model.classifier), "step", watched)
    story.play(*[tones((0, 2), (500 if number % 2 else 3000, 1), (0, 2)) for number in range(8)])
    found = {source: label for source, label, _, _ in story.ends()}
    assert found == {f"mic{number}": "Low tone" if number % 2 else "High tone" for number in range(8)}
    assert max(batches) == 8
    assert np.mean(batches) > 7


def test_a_source_that_fails_does_not_disturb_the_others(scene: Callable[..., Scene]) -> None:
    story = scene(["mic", "other"])
    story.noise(3)
    assert story.mic.capture is not None
    story.mic.capture.ended = "unplugged"
    story.mic.there = False
    story.play(tones((0, 6)), tones((0, 2), (500, 1), (0, 3)))
    assert [source for source, _, _, _ in story.ends()] == ["other"]
    assert [gap.source for gap in story.notes.gaps] == []


def test_levels_come_once_a_second(scene: Callable[..., Scene]) -> None:
    story = scene()
    story.play(np.concatenate((np.zeros(round(2.5 * RATE), np.float32), tones((500, 2.5)))))
    assert [level.dbfs for level in story.notes.levels[:2]] == [-120, -120]
    assert story.notes.levels[-1].dbfs == pytest.approx(20 * np.log10(0.3), abs=0.1)
    assert len(story.notes.levels) == pytest.approx(5, abs=1)


def test_a_silence_gate_saves_the_model(scene: Callable[..., Scene]) -> None:
    story = scene(events={"silence_gate": -60})
    story.play(tones((0, 20), (500, 1), (0, 20)))
    [supervisor] = story.loop.supervisors
    assert supervisor.pipeline.gated > 0.7 * supervisor.pipeline.progress
    assert story.ends()[0][2:] == (pytest.approx(20, abs=0.17), pytest.approx(21, abs=0.17))


class Slow:
    """A classifier that takes its time, on the virtual clock."""

    def __init__(self, inner: Any, clock: VirtualClock, seconds: float) -> None:
        self._inner, self._clock, self._seconds = inner, clock, seconds
        self.chunk, self.steps = inner.chunk, inner.steps
        self.calls = 0

    def open(self) -> Any:
        return self._inner.open()

    def step(self, chunks: np.ndarray, memories: Any) -> Any:
        self.calls += 1
        self._clock.advance(self._seconds)
        return self._inner.step(chunks, memories)


class SlowSkimming(Slow):
    def __init__(self, inner: Any, clock: VirtualClock, seconds: float) -> None:
        super().__init__(inner, clock, seconds)
        self.most_skimmed = inner.most_skimmed

    def skim(self, chunks: np.ndarray, memories: Any) -> None:
        self._inner.skim(chunks, memories)


def overloaded(story: Scene, kind: type[Slow], seconds: float, minutes: float) -> Slow:
    """Noise in real time, with short tones, at a model that takes so long for each decision."""
    slow = kind(story.model.classifier, story.clock, seconds)
    story.model = replace(story.model, classifier=slow)
    story.make()
    pattern = tones((0, 4), (500, 1))
    began = story.clock.steady()
    written = 0

    def record() -> None:
        nonlocal written
        capture = story.mic.capture
        due = round((story.clock.steady() - began) * RATE)
        while capture and written < due:
            place = written % len(pattern)
            part = pattern[place : place + min(BLOCK, due - written)][:, None]
            capture.ring.write(part, began + written / RATE)
            written += len(part)

    while story.clock.steady() - began < 60 * minutes:
        record()
        if not story.loop.tick():
            story.clock.advance(0.02)
    record()
    story.stop()
    return slow


def test_overload_lowers_the_rate_of_decisions_before_anything_is_lost(scene: Callable[..., Scene]) -> None:
    story = scene()  # 0.16 s of audio a chunk; windows of four chunks
    slow = overloaded(story, SlowSkimming, 0.3, 2)
    [supervisor] = story.loop.supervisors
    assert story.notes.gaps == []
    assert supervisor.pipeline.skimmed > supervisor.pipeline.decided
    assert any("deciding less often" in status.detail for status in story.notes.statuses)
    assert slow.calls < 0.6 * supervisor.pipeline.progress
    assert len(story.ends()) == pytest.approx(24, abs=2), "every tone is still heard"


@pytest.mark.parametrize("kind", [Slow, SlowSkimming])
def test_overload_beyond_that_skips_the_oldest_and_says_so(scene: Callable[..., Scene], kind: type[Slow]) -> None:
    story = scene()
    overloaded(story, kind, 1.0, 4)
    assert story.notes.gaps
    assert {gap.cause for gap in story.notes.gaps} == {"overload"}
    last = story.notes.statuses[-1]
    assert last.heard + last.lost == pytest.approx(240, abs=1.5)
    assert last.gaps == len(story.notes.gaps)


def test_spoiled_samples_are_silence_and_are_warned_of_once(
    scene: Callable[..., Scene], caplog: pytest.LogCaptureFixture
) -> None:
    story = scene()
    samples = tones((0, 2.0), (500, 1.0), (0, 2))
    samples[8_000:24_000:100] = np.nan
    with caplog.at_level(logging.WARNING):
        story.play(samples)
    assert [label for _, label, _, _ in story.ends()] == ["Low tone"]
    assert caplog.text.count("not numbers") == 1


def test_a_clipped_microphone_is_warned_of(scene: Callable[..., Scene], caplog: pytest.LogCaptureFixture) -> None:
    story = scene()
    with caplog.at_level(logging.WARNING):
        story.play(np.clip(20 * tones((500, 2.0)), -1, 1))
    assert "lower its gain" in caplog.text


def test_ids_differ_between_streams_and_are_the_same_within_one(scene: Callable[..., Scene]) -> None:
    ids = []
    for begin in (0.0, 1_000.0):
        story = scene()
        story.clock.advance(begin)
        story.make()
        story.play(tones((500, 2.0), (0, 2)))
        assert len({event.id for event in story.notes.told}) == 1
        ids.append(story.notes.told[0].id)
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ({"quiet_hours": [{"begin": "22:00", "end": "06:00", "labels": ["Tuba"]}]}, r"quiet_hours\[0\].*'Tuba'"),
        ({"parents": {"Low tone": "Tuba"}}, "events.parents: the model has no label 'Tuba'"),
        ({"parents": {"Low tone": "High tone", "High tone": "Low tone"}}, "ancestor of itself"),
    ],
)
def test_settings_that_do_not_fit_the_model_are_refused(
    scene: Callable[..., Scene], events: dict[str, Any], message: str
) -> None:
    with pytest.raises(WrongUse, match=message):
        scene(events=events)


def test_what_is_told_is_one_json_object_a_line(scene: Callable[..., Scene]) -> None:
    story = scene()
    out = story.out
    story.play(tones((0, 1), (500, 1), (0, 2)))
    assert [json.loads(line)["type"] for line in out.getvalue().splitlines()] == ["new", "end"]


def test_one_impossible_sample_spoils_nothing(tone_stream: Path, caplog: pytest.LogCaptureFixture) -> None:
    story = Scene(tone_stream)
    sound = tones((0, 2), (500, 1), (0, 1.5), (500, 1), (0, 1))
    sound[RATE] = 1e25
    story.play(sound)
    story.stop()
    assert [label for _, label, onset, _ in story.ends() if onset > 1.5] == ["Low tone", "Low tone"]
    assert story.gaps() == []
    assert "beyond 8 times full scale" in caplog.text
    assert all(np.isfinite([level.dbfs, level.rms]).all() for level in story.notes.levels)


def test_a_model_that_gives_no_numbers_is_a_gap_with_its_cause(
    scene: Callable[..., Scene], caplog: pytest.LogCaptureFixture
) -> None:
    story = scene()
    poisoned = Poisoned(story.model.classifier)
    poisoned.bad_at = {12, 13}  # 1.92 s to 2.24 s
    story.model = replace(story.model, classifier=poisoned)
    story.make()
    story.play(tones((0, 1), (500, 2), (0, 2)))
    story.stop()
    [(cause, begin, duration)] = story.gaps()
    assert (cause, begin, duration) == ("no scores", pytest.approx(1.92, abs=0.03), pytest.approx(0.32))
    [first, second] = story.ends()
    assert first[3] <= begin + 0.03
    assert second[2] >= begin + duration - 0.03
    status = story.notes.statuses[-1]
    assert (status.lost, status.gaps) == (pytest.approx(0.32), 1)
    assert status.heard + status.lost == pytest.approx(5, abs=0.05)
    assert caplog.text.count("the model gives no numbers") == 1


def test_a_pipe_has_a_gap_between_runs_too_and_a_run_of_seconds_is_one(
    scene: Callable[..., Scene], tmp_path: Path
) -> None:
    file = tmp_path / "heard.json"
    story = scene()
    story.mic.longest_pause = None  # over when it has ended, as standard input is
    story.make(LastHeard(file))
    story.noise(4)  # killed
    story.clock.advance(60)
    story.make(LastHeard(file))
    story.noise(4)
    [(cause, begin, duration)] = story.gaps()
    assert cause == "restart"
    assert 0 <= begin <= 4
    assert begin + duration == pytest.approx(64, abs=0.05)
