"""Arithmetic of taught sounds: thresholds follow the negatives' tail, and wrong examples push the direction away."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.teach.prototype import LATELY, Prototype, direction_of, fitted, lately, likeness, tail_of

FEW = st.floats(0.05, 50.0)


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


@given(seed=st.integers(0, 1000), days=st.floats(0.02, 10), rare=FEW, often=FEW)
def test_the_fewer_alarms_are_allowed_the_higher_the_threshold(
    seed: int, days: float, rare: float, often: float
) -> None:
    peaks = np.random.default_rng(seed).normal(0.2, 0.1, 800).astype(np.float32)
    tail = tail_of(peaks, days)
    low, high = sorted((rare, often))
    assert tail.threshold(low) >= tail.threshold(high)
    threshold = tail.threshold(low)
    assert threshold < 1
    if threshold > tail.beyond:
        assert tail.per_day(threshold) == pytest.approx(low, rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_a_tail_fitted_to_some_hours_tells_how_often_many_more_hours_reach_it(seed: int) -> None:
    """Exponential tails of Fisher's z: the expected number is met within what chance allows."""
    rng = np.random.default_rng(seed)
    tail = tail_of(np.tanh(rng.exponential(0.05, 3_000)).astype(np.float32), days=1.0)
    later = np.tanh(rng.exponential(0.05, 90_000))  # thirty days
    seen = int((later >= tail.threshold(1.0)).sum())
    assert 5 <= seen <= 130, f"{seen} in thirty days, where 30 were allowed"


def test_a_threshold_is_where_the_score_is_a_half_and_usual_takes_score_nine_tenths() -> None:
    tails = [tail_of(np.linspace(0, 0.3, 500).astype(np.float32), 2.0)]
    made = fitted(unit(1, 0), [0.8, 0.9, 0.7], tails, 1.0)
    assert made.score(np.array([made.threshold, 0.8], np.float32)) == pytest.approx([0.5, 0.9], abs=0.01)


def test_takes_that_are_no_better_than_the_threshold_do_not_make_everything_an_alarm() -> None:
    tails = [tail_of(np.linspace(0, 0.9, 500).astype(np.float32), 2.0)]
    made = fitted(unit(1, 0), [0.3], tails, 1.0)
    assert made.score(np.array([0.3], np.float32))[0] < 0.01


def test_every_take_counts_the_same_however_long_it_is() -> None:
    short, long = unit(1, 0)[None], np.tile(unit(0, 1), (50, 1))
    assert direction_of([short, long]) == pytest.approx(unit(1, 1), abs=1e-6)


def test_a_wrong_example_is_less_like_the_sound_afterwards_and_takes_stay_like_it() -> None:
    takes = [unit(1, 0.6, 0)[None], unit(1, 0.4, 0)[None]]
    wrong = [unit(0.2, 1, 0)[None]]
    before, after = direction_of(takes), direction_of(takes, wrong)
    assert float((wrong[0] @ after)[0]) < float((wrong[0] @ before)[0]) - 0.2
    assert float((takes[0] @ after)[0]) > 0.75


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20))
def test_likeness_is_the_mean_of_the_last_chunks_whatever_comes_later(values: list[float]) -> None:
    stream = np.array(values, np.float32)
    means = lately(stream)
    for at in range(len(values)):
        recent = stream[max(at - LATELY + 1, 0) : at + 1]
        assert means[at] == pytest.approx(recent.sum() / LATELY, abs=1e-5)
    assert lately(stream[:1])[0] == means[0]


def test_likeness_of_a_stream_is_along_its_direction() -> None:
    stream = np.stack([unit(1, 0)] * 4)
    assert likeness(stream, unit(1, 0)) == pytest.approx([1 / 3, 2 / 3, 1, 1])
    assert Prototype(unit(1, 0), 0.5, 0.1).score(np.array([9.0], np.float32))[0] <= 1
