"""The scores of a whole clip."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.detect.clip_scores import clip_scores, running_clip_scores


@given(st.integers(1, 300), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_scores_as_they_come_have_the_same_mean(count: int, classes: int, seed: int) -> None:
    scores = np.random.default_rng(seed).random((count, classes), dtype=np.float32)
    found = running_clip_scores(iter(scores))
    assert found is not None
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, clip_scores(scores), atol=1e-6)


def test_no_decision_no_score() -> None:
    assert running_clip_scores([]) is None
