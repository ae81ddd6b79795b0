"""The gate's measures: nothing is lost by the same scores, and every kind of loss is seen."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asit_edge.model.bundle import Manifest, load_bundle
from asit_edge.model.variant import Gate
from export.precisions.gate import LIMITS, Decisions, compare, judge, quality

SCORES = arrays(np.float32, (6, 2), elements=st.floats(0, 1, width=32))


@pytest.fixture(scope="module")
def manifest(tone_bundle: Path) -> Manifest:
    return load_bundle(tone_bundle).manifest


def decisions(scores: np.ndarray) -> Decisions:
    """Three recordings with two decisions each."""
    return Decisions(np.split(scores.astype(np.float32), 3))


LABELS = ["Low tone", "High tone", "Low tone"]


@given(scores=SCORES)
def test_the_same_scores_lose_nothing(manifest: Manifest, scores: np.ndarray) -> None:
    measured = compare(decisions(scores), decisions(scores), manifest, LABELS)
    assert set(measured.values()) == {0.0}
    assert measured.keys() == LIMITS["int8"].keys() == LIMITS["fp16"].keys()
    assert judge("int8", "tones", measured, {}, {}).passed


@given(scores=SCORES, row=st.integers(0, 5), column=st.integers(0, 1))
def test_a_score_that_is_no_number_fails(manifest: Manifest, scores: np.ndarray, row: int, column: int) -> None:
    broken = scores.copy()
    broken[row, column] = np.nan
    gate = judge(
        "int8", "tones", compare(decisions(scores), decisions(broken), manifest, LABELS), {"max_error": 1.0}, {}
    )
    assert not gate.passed
    assert "max_error" in gate.failures


def test_each_kind_of_loss_is_measured(manifest: Manifest) -> None:
    before = np.float32([[0.9, 0.1], [0.8, 0.1], [0.2, 0.7], [0.1, 0.6], [0.4, 0.3], [0.45, 0.2]])
    after = before.copy()
    after[0] = [0.7, 0.1]  # only the size
    after[4] = [0.3, 0.4]  # another best class
    after[5] = [0.55, 0.2]  # above its threshold of 0.5 now
    measured = compare(decisions(before), decisions(after), manifest, [None, None, None])
    assert measured["max_error"] == pytest.approx(0.2)
    assert measured["top1_change"] == pytest.approx(1 / 6, abs=1e-6)
    assert measured["event_change"] == pytest.approx(1 / 6, abs=1e-6)
    assert 0.1 < measured["relative_error"] < 0.5
    assert "accuracy_loss" not in measured
    after[4:] = [0.1, 0.9]  # the third recording is taken for a high tone
    labelled = compare(decisions(before), decisions(after), manifest, LABELS)
    assert labelled["accuracy_loss"] == pytest.approx(1 / 3, abs=1e-6)
    assert labelled["map_loss"] > 0
    gain = compare(decisions(after), decisions(before), manifest, LABELS)
    assert gain["accuracy_loss"] == pytest.approx(-1 / 3, abs=1e-6)


def test_labels_that_the_model_does_not_know_do_not_count(manifest: Manifest) -> None:
    scores = np.full((6, 2), 0.5)
    assert "accuracy_loss" not in compare(decisions(scores), decisions(scores), manifest, ["Dog", "Low tone", None])


def test_quality_of_perfect_and_of_upside_down_scores() -> None:
    true = np.array([0, 1, 0, 1])
    perfect = np.eye(2)[true]
    assert quality(perfect, true) == (1.0, 1.0)
    accuracy, precision = quality(1 - perfect, true)
    assert accuracy == 0.0
    assert precision < 0.6


def test_the_gate_names_the_layer_and_what_is_beyond_its_limit() -> None:
    gate = judge("fp16", "tones", {"max_error": 0.1}, {}, {"blocks.0.norm1": 0.1, "blocks.3.mlp.fc2": 0.5})
    assert gate.worst_layer == "blocks.3.mlp.fc2 (relative error 0.5)"
    assert gate.failures == {"max_error": (0.1, LIMITS["fp16"]["max_error"])}
    assert judge("fp16", "tones", {"max_error": 0.1}, {"max_error": 0.1}, {}).passed


def test_a_measurement_without_a_limit_is_no_gate() -> None:
    with pytest.raises(ValueError, match="no limit for max_error"):
        Gate(data="tones", limits={}, measured={"max_error": 0.0})
