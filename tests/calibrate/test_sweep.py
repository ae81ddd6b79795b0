"""Counting at every threshold in one pass gives what trackers at each of them give, in memory that does not grow."""

import pickle
from collections import Counter

import numpy as np
from hypothesis import given

from asit_edge.calibrate.sweep import ClassSweep, CountingTracker, Sweep
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.detect.tracker import Change, Kind, Tracker
from tests.calibrate.stories import CLASSES, DURATIONS, STEP, STORIES, Gap, Part, settings, tell

LADDER = [(0.3, 0.15), (0.5, 0.3), (0.6, 0.5), (0.85, 0.6), (0.96, 0.96), (0.999, 0.9)]


def begun(changes: list[Change]) -> list[int]:
    """Of each class, how many events began."""
    count = Counter(change.label for change in changes if change.kind is Kind.NEW and change.continues is None)
    return [count[label] for label in range(CLASSES)]


@given(STORIES, DURATIONS)
def test_the_counts_are_those_of_a_tracker_at_each_threshold(story: list[Part], durations: dict[str, int]) -> None:
    rungs = [[settings(on, off, durations)] * CLASSES for on, off in LADDER]
    counting = CountingTracker(rungs)
    tell(story, counting)
    each = [begun(tell(story, Tracker(rung))) for rung in rungs]
    assert counting.sweep.events.T.tolist() == each


@given(STORIES, DURATIONS)
def test_a_counting_tracker_is_a_tracker(story: list[Part], durations: dict[str, int]) -> None:
    rungs = [[settings(on, off, durations)] * CLASSES for on, off in LADDER]
    parents = {0: 1}
    assert tell(story, CountingTracker(rungs, parents)) == tell(story, Tracker(rungs[0], parents))


@given(STORIES, DURATIONS)
def test_with_families_and_a_longest_duration_no_label_has_more_events(
    story: list[Part], durations: dict[str, int]
) -> None:
    """Sounds are counted: of a family they may share an event, and one that is split is still one."""
    rungs = [[settings(on, off, {**durations, "max_duration": 3 * STEP})] * CLASSES for on, off in LADDER]
    counting = CountingTracker(rungs, {0: 1})
    tell(story, counting)
    for rung, counted in zip(rungs, counting.sweep.events.T, strict=True):
        assert (begun(tell(story, Tracker(rung, {0: 1}))) <= counted).all()


def test_what_was_too_short_to_count_keeps_nothing_back() -> None:
    story: list[Part] = [[0.9] * CLASSES, *[[0.0] * CLASSES] * 2, *[[0.9] * CLASSES] * 3]
    durations = {"min_duration": 3 * STEP, "cooldown": 20 * STEP}
    counting = CountingTracker([[settings(0.5, 0.3, durations)] * CLASSES])
    assert begun(tell(story, counting)) == [1] * CLASSES
    assert counting.sweep.events.tolist() == [[1]] * CLASSES


def test_a_sound_that_began_in_what_was_padding_keeps_others_back_from_its_onset() -> None:
    story: list[Part] = [[0.0] * CLASSES, [0.9] * CLASSES, Gap(3 * STEP, 2 * STEP), [0.9] * CLASSES]
    counting = CountingTracker([[settings(0.5, 0.3, {"cooldown": 25})] * CLASSES])
    assert begun(tell(story, counting)) == [1] * CLASSES
    assert counting.sweep.events.tolist() == [[1]] * CLASSES


def test_classes_that_are_not_reported_have_no_events() -> None:
    sweep = Sweep([[ClassSettings(0.5, 0.3), None], [ClassSettings(0.9, 0.7), None]])
    sweep.step(0, 10, np.array([0.8, 1.0], np.float32))
    assert sweep.events.tolist() == [[1, 0], [0, 0]]


def test_memory_does_not_grow_with_what_is_heard() -> None:
    sweep = ClassSweep([ClassSettings(0.5, 0.3)] * 4)

    def held() -> int:
        return sum(len(pickle.dumps(value)) for value in vars(sweep).values())

    before = held()
    for step in range(5_000):
        sweep.step(step * STEP, (step + 1) * STEP, float(step % 2))
    assert held() == before
    assert sweep.events.tolist() == [2_500] * 4
