"""Which thresholds are chosen: as low as the wanted rate allows, never below those in force."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.calibrate.choice import SLACK, Outcome, Tally, choose, events_a_day, known_below, outcomes
from asit_edge.calibrate.ladder import HIGHEST, ladder, rungs
from asit_edge.calibrate.record import Calibration, calibrated, moved
from asit_edge.calibrate.sweep import CountingTracker
from asit_edge.config.events import Events
from asit_edge.detect.class_settings import class_settings
from asit_edge.detect.tracker import Kind, Tracker
from asit_edge.model.key import model_key
from tests.calibrate.stories import CLASSES, STORIES, Part, tell
from tests.calibrate.test_ladder import manifest_of

MANIFEST = manifest_of((0.3, 0.15), (0.5, 0.3), (0.9, 0.5))
STEPS = ladder(MANIFEST)
COUNTS = st.lists(st.lists(st.integers(0, 9), min_size=5, max_size=5), min_size=1, max_size=4)
HOURS = st.floats(0.1, 100)


def events_at(story: list[Part], found: list[Outcome]) -> list[int]:
    """Of each label, how many events the tracker makes of the story at the thresholds that a calibration set."""
    record = Calibration(
        bundle=model_key(MANIFEST),
        when="2026-05-01T00:00:00.000Z",
        hours=1,
        heard=["day"],
        alarms_per_day=1,
        labels=moved([one for one in found if one.changed], None),
    )
    tracker = Tracker(class_settings(Events(merge_gap=0), calibrated(MANIFEST, record)))
    count = Counter(change.label for change in tell(story, tracker) if change.kind is Kind.NEW)
    return [count[label] for label in range(CLASSES)]


@given(STORIES, HOURS, st.floats(0.1, 200))
def test_the_same_scores_then_give_no_more_events_than_wanted(story: list[Part], hours: float, wanted: float) -> None:
    counting = CountingTracker(rungs(STEPS, Events(merge_gap=0)))
    tell(story, counting)
    found = outcomes(STEPS, [Tally("day", hours, counting.sweep.events)], wanted)
    fewest = counting.sweep.events.min(axis=1)
    for outcome, events, least in zip(found, events_at(story, found), fewest, strict=True):
        assert outcome.a_day == pytest.approx(events * 24 / hours)
        assert outcome.a_day <= wanted * (1 + SLACK) or events == least > 0


@given(COUNTS, HOURS, st.floats(0.01, 50), st.floats(0.01, 50))
def test_a_higher_rate_never_asks_for_a_higher_threshold(
    counts: list[list[int]], hours: float, one: float, other: float
) -> None:
    a_day = events_a_day([Tally("day", hours, np.array(counts))])
    assert (choose(a_day, max(one, other)) <= choose(a_day, min(one, other))).all()


@given(COUNTS, st.floats(0.01, 50))
def test_the_lowest_that_will_do_is_chosen(counts: list[list[int]], wanted: float) -> None:
    a_day = events_a_day([Tally("day", 24, np.array(counts))])
    for row, rung in zip(a_day, choose(a_day, wanted), strict=True):
        enough = row <= wanted
        assert rung == (np.argmax(enough) if enough.any() else np.argmin(row))


@given(STORIES)
def test_labels_that_were_never_above_their_threshold_stay_as_they_are(story: list[Part]) -> None:
    counting = CountingTracker(rungs(STEPS, Events(merge_gap=0)))
    tell(story, counting)
    found = outcomes(STEPS, [Tally("day", 1, counting.sweep.events)], 0.001)
    for one in found:
        assert one.changed <= (one.events > 0)
        assert one.after >= one.before


def test_what_several_sources_hear_adds_up() -> None:
    hall, yard = Tally("hall", 12, np.array([[2, 1]])), Tally("yard", 24, np.array([[3, 0]]))
    assert events_a_day([hall, yard]).tolist() == [[7, 2]]


def test_a_day_of_which_a_little_was_lost_is_a_day() -> None:
    once = np.zeros((CLASSES, len(STEPS)), np.int64)
    once[:, :10] = 1
    assert [one.changed for one in outcomes(STEPS, [Tally("day", 23.5, once)], 1)] == [False] * CLASSES
    assert [one.changed for one in outcomes(STEPS, [Tally("day", 20.0, once)], 1)] == [True] * CLASSES


def test_a_label_that_no_threshold_quiets_gets_the_lowest_with_the_fewest() -> None:
    events = np.full((3, len(STEPS)), 7)
    events[0, 10:] = 3
    first = outcomes(STEPS, [Tally("day", 24, events)], 1)[0]
    assert first.after == (STEPS[10].labels[0].on_threshold, STEPS[10].labels[0].off_threshold)
    assert first.after[0] < HIGHEST
    assert first.a_day == 3


def test_of_what_was_not_heard_little_is_known() -> None:
    assert known_below(24) == 3
    assert known_below(72) == 1
    assert np.exp(-known_below(24)) == pytest.approx(0.05, abs=0.001)
