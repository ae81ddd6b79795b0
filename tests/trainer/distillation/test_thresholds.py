"""Thresholds: an event starts where enough of what scores that high is right."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.errors import WrongUse
from trainer.data.audioset import read_labels
from trainer.distillation.thresholds import threshold_for

FOLDER = Path(__file__).parents[3] / "trainer"


def test_the_lowest_score_that_is_right_often_enough() -> None:
    scores = np.float32([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    truth = np.array([True, True, False, True, False, False])
    assert threshold_for(scores, truth, 1.0) == pytest.approx(0.8)
    assert threshold_for(scores, truth, 0.75) == pytest.approx(0.6)
    assert threshold_for(scores, truth, 0.5) == pytest.approx(0.4)
    assert threshold_for(scores, ~truth, 0.9) is None


@given(
    pairs=st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), min_size=1, max_size=20),
    precision=st.sampled_from([0.3, 0.7, 1.0]),
)
def test_what_is_above_is_right_often_enough_and_no_lower_score_would_do(
    pairs: list[tuple[float, bool]], precision: float
) -> None:
    scores, truth = np.float32([score for score, _ in pairs]), np.array([true for _, true in pairs])
    good = [score for score in np.unique(scores) if truth[scores >= score].mean() >= precision]
    chosen = threshold_for(scores, truth, precision)
    assert chosen == (pytest.approx(min(good)) if good else None)


def test_the_everyday_labels_are_audiosets(tmp_path: Path) -> None:
    names = read_labels(FOLDER / "everyday.txt")
    assert len(names) > 40
    assert {"Baby cry, infant cry", "Dog", "Chainsaw"} <= set(names)
    (tmp_path / "own.txt").write_text("# comment\nDogg\n", encoding="utf-8")
    with pytest.raises(WrongUse, match=r"'Dogg' is no AudioSet label \(did you mean 'Dog'\?\)"):
        read_labels(tmp_path / "own.txt")
    with pytest.raises(WrongUse, match=r"none.txt: no such list of labels"):
        read_labels(tmp_path / "none.txt")
