"""Clip-level metrics against scikit-learn, cases worked out by hand, and the cases that have no answer."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from trainer.evaluation.metrics import (
    average_precision,
    best_threshold,
    bootstrap,
    confusion_matrix,
    d_prime,
    mean_average_precision,
    precision_recall,
    roc_auc,
)

CASES = st.integers(2, 40).flatmap(
    lambda count: st.tuples(
        st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5, 0.9, 1.0]), min_size=count, max_size=count),
        st.lists(st.booleans(), min_size=count, max_size=count),
    )
)


@given(CASES)
def test_average_precision_and_auc_are_scikit_learns_ties_included(case: tuple[list[float], list[bool]]) -> None:
    scores, truth = np.array(case[0]), np.array(case[1])
    if truth.any():
        assert average_precision(scores, truth) == pytest.approx(oracle.average_precision_score(truth, scores))
    else:
        assert math.isnan(average_precision(scores, truth))
    if truth.any() and not truth.all():
        assert roc_auc(scores, truth) == pytest.approx(oracle.roc_auc_score(truth, scores))
    else:
        assert math.isnan(roc_auc(scores, truth))


def test_the_curve_has_a_point_for_each_distinct_score() -> None:
    precision, recall, thresholds = precision_recall(np.array([0.9, 0.5, 0.5, 0.1]), np.array([1, 0, 1, 0], bool))
    assert thresholds.tolist() == [0.9, 0.5, 0.1]
    assert precision == pytest.approx([1, 2 / 3, 1 / 2])
    assert recall == pytest.approx([0.5, 1, 1])


def test_classes_without_positives_do_not_count_towards_the_mean() -> None:
    scores = np.array([[0.9, 0.4, 0.1], [0.2, 0.6, 0.3]])
    truth = np.array([[1, 0, 0], [0, 0, 1]], bool)
    assert mean_average_precision(scores, truth) == 1.0
    assert math.isnan(mean_average_precision(scores, np.zeros((2, 3), bool)))


def test_d_prime_of_known_aucs() -> None:
    assert d_prime(0.5) == pytest.approx(0.0)
    assert d_prime(0.9213503964748575) == pytest.approx(2.0)  # Phi(2 / sqrt 2)
    assert d_prime(1.0) == math.inf
    assert d_prime(0.0) == -math.inf
    assert math.isnan(d_prime(float("nan")))


def test_confusion_counts_true_by_predicted() -> None:
    confusion = confusion_matrix(np.array([0, 2, 1, 2]), np.array([0, 1, 1, 2]), 3)
    assert confusion.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    assert confusion_matrix(np.zeros(3, np.int64), np.zeros(3, np.int64), 1).tolist() == [[3]]


def test_the_best_threshold_lies_between_what_is_wanted_and_the_next_lower_score() -> None:
    assert best_threshold(np.array([0.9, 0.8, 0.3, 0.1]), np.array([1, 1, 0, 0], bool)) == pytest.approx(0.55)
    assert best_threshold(np.array([0.4, 0.4]), np.array([1, 1], bool)) == pytest.approx(0.2)
    assert math.isnan(best_threshold(np.array([0.4]), np.array([False])))


def test_a_small_beta_prefers_precision() -> None:
    scores, truth = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]), np.array([1, 0, 0, 1, 1, 0], bool)
    assert best_threshold(scores, truth) == pytest.approx(0.45)
    assert best_threshold(scores, truth, 0.2) == pytest.approx(0.85)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(100):
        right = rng.random(80) < 0.7
        interval = bootstrap(
            lambda chosen, right=right: float(right[chosen].mean()), list(map(str, range(80))), 200, trial
        )
        assert interval.low <= interval.value <= interval.high
        covered += interval.low <= 0.7 <= interval.high
    assert 85 <= covered <= 100


def test_clips_of_one_recording_are_drawn_together() -> None:
    right = np.repeat(np.arange(8) % 2, 50)
    alone = bootstrap(lambda chosen: float(right[chosen].mean()), list(map(str, range(400))))
    grouped = bootstrap(lambda chosen: float(right[chosen].mean()), [str(index // 50) for index in range(400)])
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)
