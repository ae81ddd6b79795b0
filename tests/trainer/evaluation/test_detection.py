"""What a device cares about: delay, false alarms, misses, flicker; each case is short enough to count by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.detect.hysteresis import ClassSettings
from trainer.data.recording import TrueEvent
from trainer.evaluation.detection import (
    DetectedEvent,
    OperatingPoint,
    Timeline,
    collar_f1,
    crossings_per_minute,
    miss_rate_at,
    most_pairs,
    operating_points,
    outcomes,
    together,
    track,
)

PLAIN = ClassSettings(on=0.5, off=0.3)


def line(*scores: float, step: float = 0.5) -> Timeline:
    return Timeline(np.arange(len(scores) + 1) * step, np.array(scores)[:, None])


def detected(onset: float, offset: float, reported: float | None = None, label: int = 0) -> DetectedEvent:
    return DetectedEvent(onset, offset, label, onset + 0.5 if reported is None else reported, 0.9)


def test_scores_become_events_as_on_the_device() -> None:
    (event,) = track(line(0.1, 0.6, 0.4, 0.2), [PLAIN], 100)
    assert (event.onset, event.offset, event.reported, event.peak) == (0.5, 1.5, 1.0, pytest.approx(0.6))
    patient = ClassSettings(on=0.5, off=0.3, min_duration=100)
    (event,) = track(line(0.1, 0.6, 0.4, 0.2), [patient], 100)
    assert event.reported == 1.5
    assert track(line(0.6, 0.1), [patient], 100) == []
    assert track(line(0.6, 0.6), [None], 100) == []


def test_delay_counts_from_the_true_onset_to_the_announcement() -> None:
    (outcome,) = outcomes([[detected(1.0, 3.0, reported=1.5)]], [[TrueEvent(0.8, 2.9, 0)]], 1)
    assert outcome.delays == (pytest.approx(0.7),)
    assert (outcome.missed, outcome.alarms, outcome.pieces) == (0, 0, 1)


def test_an_event_that_was_on_before_the_sound_finds_it_and_has_no_delay() -> None:
    (outcome,) = outcomes([[detected(0.0, 3.0)]], [[TrueEvent(0.1, 0.4, 0), TrueEvent(2.0, 2.5, 0)]], 1)
    assert outcome.missed == 0
    assert outcome.delays == (pytest.approx(0.4),)


def test_a_late_event_is_right_within_the_patience_and_false_after_it() -> None:
    truth = [[TrueEvent(1.0, 1.2, 0)]]
    (right,) = outcomes([[detected(1.6, 2.0)]], truth, 1)
    (late,) = outcomes([[detected(1.7, 2.0)]], truth, 1)
    assert (right.missed, right.alarms) == (0, 0)
    assert (late.missed, late.alarms) == (1, 1)


def test_false_alarms_in_quiet_recordings_are_told_apart() -> None:
    reported = [[detected(0.0, 1.0)], [detected(0.0, 1.0, label=1)]]
    first, second = outcomes(reported, [[TrueEvent(3.0, 4.0, 1)], []], 2)
    assert (first.alarms, first.quiet_alarms) == (1, 0)
    assert (second.alarms, second.quiet_alarms, second.missed) == (1, 1, 1)
    everything = together([first, second])
    assert (everything.alarms, everything.events, everything.detected) == (2, 1, 2)
    assert everything.miss_rate == 1.0
    assert everything.precision == 0.0


def test_a_kind_of_what_was_named_is_neither_right_nor_a_false_alarm() -> None:
    """0 is a bleat, 1 a goat: a goat was named, at two other times nothing was."""
    reported = [[detected(1.0, 2.0), detected(5.0, 6.0), detected(1.0, 2.0, label=1)], [detected(0.0, 1.0)]]
    truth = [[TrueEvent(1.0, 2.0, 1)], []]
    bleat, goat = outcomes(reported, truth, 2, wider=[{1}, set()])
    assert (bleat.events, bleat.missed, bleat.alarms, bleat.quiet_alarms, bleat.detected) == (0, 0, 2, 1, 2)
    assert (goat.events, goat.missed, goat.alarms, goat.detected) == (1, 0, 0, 1)
    strict, _ = outcomes(reported, truth, 2)
    assert (strict.alarms, strict.detected) == (3, 3)
    (_, wrong) = outcomes([[detected(1.0, 2.0, label=1)]], [[TrueEvent(1.0, 2.0, 0)]], 2, wider=[{1}, set()])
    assert wrong.alarms == 1, "a bleat that was named is no goat"


def test_a_sibling_of_what_was_named_is_a_false_alarm() -> None:
    """0 is a doorbell, 1 a knock, 2 a door: who knocks is at the door, and rings no bell."""
    truth = [[TrueEvent(1.0, 2.0, 1), TrueEvent(1.0, 2.0, 2)]]
    bell, knock, door = outcomes([[detected(1.0, 2.0)]], truth, 3, wider=[{2}, {2}, set()])
    assert (bell.alarms, bell.detected, knock.missed, door.missed) == (1, 1, 1, 1)
    only_door = [[TrueEvent(1.0, 2.0, 2)]]
    assert outcomes([[detected(1.0, 2.0)]], only_door, 3, wider=[{2}, {2}, set()])[0].alarms == 0


def test_an_event_in_pieces_is_found_once_and_counted_in_pieces() -> None:
    (outcome,) = outcomes([[detected(1, 2), detected(3, 4)]], [[TrueEvent(1, 4, 0)]], 1)
    assert (outcome.missed, outcome.pieces, outcome.delays) == (0, 2, (0.5,))


def test_no_events_have_no_rates() -> None:
    (outcome,) = outcomes([[]], [[]], 1)
    assert math.isnan(outcome.miss_rate)
    assert math.isnan(outcome.precision)
    assert math.isnan(outcome.delay(50))


def test_event_f1_wants_onset_and_offset_within_the_collar() -> None:
    truth = [[TrueEvent(1.0, 2.0, 0), TrueEvent(5.0, 15.0, 0)]]
    good = [detected(1.2, 2.2), detected(4.9, 13.0)]  # the long event's offset may be off by a fifth of its length
    assert collar_f1([good], truth, 1) == [1.0]
    assert collar_f1([[detected(1.21, 2.0), *good[1:]]], truth, 1) == [pytest.approx(0.5)]
    assert collar_f1([good[:1]], truth, 1) == [pytest.approx(2 / 3)]
    assert collar_f1([[]], truth, 1) == [0.0]
    assert math.isnan(collar_f1([[]], [[]], 1)[0])


def test_as_many_events_as_possible_are_matched() -> None:
    # The first true event could take either; only if it leaves the second detected one is the other matched as well.
    truth = [[TrueEvent(1.0, 2.0, 0), TrueEvent(1.2, 2.2, 0)]]
    assert collar_f1([[detected(1.15, 2.15), detected(0.9, 1.9)]], truth, 1) == [1.0]


@given(st.lists(st.lists(st.integers(0, 4), unique=True, max_size=5), max_size=5))
def test_the_matching_is_the_largest(edges: list[list[int]]) -> None:
    def best(row: int, taken: frozenset[int]) -> int:
        if row == len(edges):
            return 0
        options = [1 + best(row + 1, taken | {column}) for column in edges[row] if column not in taken]
        return max([best(row + 1, taken), *options])

    assert most_pairs(edges) == best(0, frozenset())


def test_flicker_counts_crossings() -> None:
    assert crossings_per_minute([line(0.1, 0.9, 0.1, 0.9, 0.9), line(0.9, 0.1, step=13.75)], [0.5]) == [
        pytest.approx(4 / 0.5)
    ]


def test_misses_at_a_rate_of_false_alarms() -> None:
    truth = [[TrueEvent(0.0, 0.5, 0)], [TrueEvent(0.0, 0.5, 0)], []]
    lines = [line(0.9, 0.0, 0.0), line(0.6, 0.0, 0.0), line(0.7, 0.0, 0.0)]
    points = operating_points(lines, truth, [PLAIN], 100, [0.5, 0.65, 0.8])
    hours = 4.5 / 3600
    assert [point.miss_rate for point in points] == [0.0, 0.5, 0.5]
    assert [point.alarms_per_hour for point in points] == [pytest.approx(1 / hours), pytest.approx(1 / hours), 0.0]
    assert miss_rate_at(points, 1.0) == OperatingPoint(0.8, 0.0, 0.5)
    assert miss_rate_at(points, 1000.0) == points[0]
    assert miss_rate_at(points[:2], 1.0) is None


def test_edges_and_scores_must_belong_together() -> None:
    with pytest.raises(ValueError, match="2 decisions need one edge more"):
        Timeline(np.zeros(2), np.zeros((2, 1)))
