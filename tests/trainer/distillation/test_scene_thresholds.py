"""Thresholds from scenes: events are right, false alarms rare, and waking alarms never false where it was measured."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.distillation.scene_thresholds import GRID, USUAL, WAKES, Demand, Outcome, runs, widened

STEPS = 60


def scene(*sounds: tuple[int, int, float], base: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """Scores and targets (steps,): each (first, last, score) is a sound that is there."""
    scores, targets = np.full(STEPS, base, np.float32), np.zeros(STEPS, np.float32)
    for first, last, score in sounds:
        scores[first:last], targets[first:last] = score, 0.95
    return scores, targets


def outcome(*scenes: tuple[np.ndarray, np.ndarray]) -> Outcome:
    return Outcome(np.stack([one for one, _ in scenes]), np.stack([two for _, two in scenes]))


@settings(max_examples=50)
@given(flags=st.lists(st.booleans(), min_size=1, max_size=40), by=st.integers(0, 5))
def test_runs_and_widened_say_what_a_look_at_each_step_says(flags: list[bool], by: int) -> None:
    array = np.array(flags)
    found = np.zeros(len(flags), bool)
    for first, last in runs(array):
        assert array[first:last].all()
        assert first == 0 or not array[first - 1]
        assert last == len(flags) or not array[last]
        found[first:last] = True
    assert np.array_equal(found, array)
    near = [any(flags[max(at - by, 0) : at + by + 1]) for at in range(len(flags))]
    assert widened(array, by).tolist() == near


def test_a_sound_that_is_told_well_is_found_at_a_threshold_below_it_and_above_the_rest() -> None:
    made = outcome(scene((10, 20, 0.8)), scene((30, 40, 0.7)), scene(base=0.05))
    place = made.choose(hours=1.0, demand=USUAL)
    assert made.sounds == 2
    assert 0.05 < GRID[place] <= 0.7
    assert made.found[place] == 2
    assert made.wrong[place] == 0


def test_an_event_where_a_related_label_sounds_is_neither_right_nor_wrong() -> None:
    """A goat was named, and a bleat is heard."""
    scores, targets = scene()
    scores[30:33] = 0.9
    goat = np.zeros(STEPS, np.float32)
    goat[28:36] = 0.8
    alone = Outcome(scores[None], targets[None])
    beside = Outcome(scores[None], targets[None], goat[None])
    assert alone.wrong[0] == 1
    assert (beside.wrong.sum(), beside.right.sum(), beside.sounds) == (0, 0, 0)
    elsewhere = Outcome(scores[None], targets[None], np.roll(goat, -20)[None])
    assert elsewhere.wrong[0] == 1


def test_what_is_not_there_and_scores_high_raises_the_threshold() -> None:
    false = [scene() for _ in range(4)]
    for scores, _ in false:
        scores[30:33] = 0.5
    made = outcome(scene((10, 20, 0.8)), scene((30, 40, 0.7)), *false)
    for demand in (USUAL, WAKES):
        place = made.choose(hours=1.0, demand=demand)
        assert GRID[place] > 0.5
        assert made.wrong[place] == 0
        assert made.right[place] >= demand.precision * (made.right[place] + made.wrong[place])


def test_a_waking_alarm_is_false_less_often_than_another_label() -> None:
    scores, targets = scene(base=0.02)
    scores[30] = 0.6
    others = [scene((10, 20, 0.9)) for _ in range(12)]
    made = outcome(*others, (scores, targets))
    assert GRID[made.choose(4.0, USUAL)] < 0.6  # one in four hours, most events right
    assert GRID[made.choose(4.0, WAKES)] > 0.6
    assert GRID[made.choose(10.0, WAKES)] < 0.6


def test_what_nobody_is_sure_of_is_neither_right_nor_wrong() -> None:
    scores, targets = scene()
    scores[20:25], targets[20:25] = 0.6, 0.3
    made = outcome((scores, targets))
    assert made.sounds == 0
    assert made.right.sum() == made.wrong.sum() == 0


@pytest.mark.parametrize("demand", [USUAL, WAKES])
def test_where_no_threshold_is_good_enough_the_highest_is_taken(demand: Demand) -> None:
    made = outcome(*[scene(base=0.999) for _ in range(3)])
    assert made.choose(0.1, demand) == len(GRID) - 1
