"""Targets in time: where a teacher's windows, a person's label and strong labels say that something sounds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.clips.targets import heard_lately
from trainer.data.recording import StrongLabel
from trainer.teachers.frame_targets import (
    CERTAIN,
    audible_steps,
    steps_from_windows,
    with_events,
    with_label,
)

STEP, WINDOW, HOP = 0.16, 2.0, 0.5


@given(onset=st.floats(0, 7), lasts=st.floats(0.3, 3))
def test_a_teacher_that_hears_a_sound_in_every_window_over_it_says_when(onset: float, lasts: float) -> None:
    offset = min(onset + lasts, 10.0)
    starts = np.arange(0, 8.1, HOP)
    windows = ((starts < offset) & (starts + WINDOW > onset)).astype(np.float32)[:, None]
    steps = steps_from_windows(windows, WINDOW, HOP, 62)[:, 0]
    centres = (np.arange(62) + 0.5) * STEP
    assert steps[(centres > onset) & (centres < offset)].min(initial=1) > 0.99
    # Beside the sound, by more than the hop, some window without it covers the step; not at the very ends.
    beside = ((centres < onset - HOP) | (centres > offset + HOP)) & (centres > WINDOW) & (centres < 8)
    assert steps[beside].max(initial=0) == 0


def test_every_step_of_a_recording_has_a_target() -> None:
    assert steps_from_windows(np.full((1, 2), 0.25, np.float32), WINDOW, HOP, 3).tolist() == [[0.25, 0.25]] * 3
    long = steps_from_windows(np.linspace(0, 1, 5, dtype=np.float32)[:, None], WINDOW, HOP, 40)
    assert long[-1] == 1.0


def test_steps_are_audible_against_the_loudest() -> None:
    assert audible_steps(np.float32([0.1, 0.004, 0.02, 0])).tolist() == [True, False, True, False]
    assert not audible_steps(np.zeros(3, np.float32)).any()


def test_a_label_counts_where_it_is_audible_and_what_it_implies_counts_too() -> None:
    labels = ["Dog", "Bark", "Rain"]
    targets = with_label(np.zeros((4, 3), np.float32), "Bark", labels, np.array([True, True, False, False]))
    assert targets[:, 1].tolist() == np.float32([CERTAIN, CERTAIN, 0, 0]).tolist()
    assert np.array_equal(targets[:, 0], targets[:, 1])
    assert not targets[:, 2].any()


def test_where_the_teacher_knows_the_label_it_says_where() -> None:
    said = np.float32([[0.8], [0.5], [0.05], [0.0]])
    targets = with_label(said, "Rain", ["Rain"], np.ones(4, bool))
    assert targets[:, 0].tolist() == np.float32([CERTAIN, CERTAIN, 0.05, 0]).tolist()
    assert np.array_equal(with_label(said, "Unknown", ["Rain"], np.ones(4, bool)), said)


def test_strong_labels_settle_their_class_and_leave_the_others_to_the_teacher() -> None:
    said = np.full((10, 2), 0.4, np.float32)
    events = [StrongLabel(0.32, 0.64, "Rain"), StrongLabel(1.0, 1.01, "Rain")]
    targets = with_events(said, events, ["Rain", "Dog"], STEP)
    assert np.flatnonzero(targets[:, 0] > 0.9).tolist() == [2, 3, 6]
    assert targets[:, 0].min() <= 0.06
    assert (targets[:, 1] == said[:, 1]).all()


@given(values=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30), back=st.integers(1, 8))
def test_heard_lately_is_the_highest_of_the_last_steps(values: list[float], back: int) -> None:
    lately = heard_lately(np.float32(values)[:, None], back)[:, 0]
    assert lately.tolist() == [max(values[max(0, place - back + 1) : place + 1]) for place in range(len(values))]
