"""The tracker: hysteresis, durations and gaps on small stories, and what must hold for any story."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.events import Change, ClassSettings, Kind, Tracker

STEP = 10
"""Samples a decision covers in these tests."""


def run(scores: list[float], finish: bool = True, **settings: float) -> list[Change]:
    """The changes of one class, with on 0.5 and off 0.3 unless told otherwise."""
    tracker = Tracker([ClassSettings(**{"on": 0.5, "off": 0.3, **settings})])  # type: ignore[arg-type]
    changes = []
    for index, score in enumerate(scores):
        changes += tracker.step(index * STEP, (index + 1) * STEP, np.float32([score]))
    return changes + (tracker.finish(len(scores) * STEP) if finish else [])


def spans(changes: list[Change]) -> list[tuple[int, int | None]]:
    return [(change.onset, change.offset) for change in changes if change.kind is Kind.END]


def test_an_event_begins_at_on_and_lasts_until_below_off() -> None:
    changes = run([0.1, 0.4, 0.6, 0.4, 0.35, 0.2, 0.1])
    assert [change.kind for change in changes] == [Kind.NEW, Kind.END]
    assert spans(changes) == [(20, 50)]
    assert changes[0].decided == 30
    assert changes[1].peak == pytest.approx(0.6)


def test_between_off_and_on_nothing_begins() -> None:
    assert run([0.4, 0.49, 0.4]) == []


def test_a_pause_within_the_merge_gap_is_bridged() -> None:
    assert spans(run([0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1], merge_gap=2 * STEP)) == [(0, 40)]


def test_a_longer_pause_makes_two_events() -> None:
    assert spans(run([0.9, 0.1, 0.1, 0.1, 0.9, 0.1], merge_gap=2 * STEP)) == [(0, 10), (40, 50)]


def test_after_a_pause_only_on_resumes_an_event() -> None:
    assert spans(run([0.9, 0.1, 0.4, 0.1, 0.1], merge_gap=STEP)) == [(0, 10)]


def test_an_event_is_announced_when_it_has_lasted_long_enough() -> None:
    changes = run([0.9, 0.9, 0.9, 0.1], min_duration=3 * STEP)
    assert (changes[0].kind, changes[0].onset, changes[0].decided) == (Kind.NEW, 0, 30)
    assert run([0.9, 0.9, 0.1, 0.9], min_duration=3 * STEP) == []


def test_cooldown_keeps_the_next_event_back() -> None:
    assert spans(run([0.9, 0.1, 0.9, 0.1, 0.9, 0.1], cooldown=3 * STEP)) == [(0, 10), (40, 50)]


def test_updates_come_at_a_bounded_rate() -> None:
    changes = run([0.9] * 10, update_every=3 * STEP)
    told = [change.decided for change in changes if change.kind is Kind.UPDATE]
    assert told == [40, 70, 100]
    assert all(change.offset is None for change in changes[:-1])


def test_shutdown_ends_what_is_sounding_where_the_audio_ends() -> None:
    tracker = Tracker([ClassSettings(0.5, 0.3)])
    tracker.step(0, 10, np.float32([0.9]))
    changes = tracker.finish(7)  # the last three samples were padding
    assert spans(changes) == [(0, 7)]
    assert tracker.finish(7) == []


def test_after_a_gap_a_new_event_begins() -> None:
    tracker = Tracker([ClassSettings(0.5, 0.3, merge_gap=1_000)])
    changes = tracker.step(0, 10, np.float32([0.9])) + tracker.finish(10)
    changes += tracker.step(500, 510, np.float32([0.9])) + tracker.finish(510)
    assert spans(changes) == [(0, 10), (500, 510)]


def test_unreported_classes_stay_silent() -> None:
    tracker = Tracker([None, ClassSettings(0.5, 0.3)])
    changes = tracker.step(0, 10, np.float32([0.9, 0.9]))
    assert [change.label for change in changes] == [1]


def test_audio_must_follow_on() -> None:
    tracker = Tracker([ClassSettings(0.5, 0.3)])
    tracker.step(0, 10, np.float32([0.1]))
    with pytest.raises(ValueError, match="does not follow"):
        tracker.step(5, 15, np.float32([0.1]))
    with pytest.raises(ValueError, match="expected 1 scores"):
        tracker.step(10, 20, np.float32([0.1, 0.2]))


@pytest.mark.parametrize(
    "settings", [{"on": 0.3, "off": 0.5}, {"on": 0.5, "off": 0.0}, {"on": 0.5, "off": 0.3, "cooldown": -1}]
)
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"thresholds|negative"):
        ClassSettings(**settings)  # type: ignore[arg-type]


SETTINGS = st.builds(
    lambda a, b, *durations: ClassSettings(max(a, b), min(a, b), *durations),
    st.floats(0.01, 0.99),
    st.floats(0.01, 0.99),
    *[st.integers(0, 6 * STEP)] * 4,
)
STORIES = st.lists(
    st.one_of(st.floats(0, 1, width=32), st.tuples(st.just("gap"), st.integers(1, 200))), min_size=1, max_size=80
)


@given(SETTINGS, STORIES, st.integers(0, STEP))
def test_every_story_is_told_consistently(
    settings: ClassSettings, story: list[float | tuple[str, int]], padding: int
) -> None:
    tracker = Tracker([settings])
    changes: list[Change] = []
    position = 0
    for chapter in story:
        if isinstance(chapter, tuple):
            changes += tracker.finish(position)
            position += chapter[1]
        else:
            changes += tracker.step(position, position + STEP, np.float32([chapter]))
            position += STEP
    changes += tracker.finish(max(position - padding, 0))

    open_onset: int | None = None
    last_offset = last_decided = 0
    onsets = []
    for change in changes:
        assert 0 <= change.score <= 1
        assert 0 <= change.peak <= 1
        assert change.peak >= settings.on - 1e-6
        assert change.decided >= last_decided or change is changes[-1]
        last_decided = change.decided
        if change.kind is Kind.NEW:
            assert open_onset is None, "an event begins while another of its class is open"
            assert change.onset >= last_offset + (settings.cooldown if onsets else 0)
            open_onset = change.onset
            onsets.append(change.onset)
        assert change.onset == open_onset, "a message about an event that is not open"
        if change.kind is Kind.END:
            assert change.offset is not None
            assert change.onset <= change.offset <= position
            last_offset = change.offset
            open_onset = None
        else:
            assert change.offset is None
    assert open_onset is None, "an event without end"
    assert len(set(onsets)) == len(onsets)
