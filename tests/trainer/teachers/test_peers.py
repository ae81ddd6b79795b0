"""Published window models as a device would run them: causal, in step, asked once."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.teachers.peers import MeanOfPeers, Peer

RATE = 16_000


class Loudness:
    """Its one or two scores are the mean of a window's absolute samples."""

    window, hop = 1_000, 500

    def __init__(self, *labels: str, rate: int = RATE) -> None:
        self.labels, self.rate, self.asked = list(labels), rate, 0

    def score(self, waveforms: np.ndarray) -> np.ndarray:
        self.asked += len(waveforms)
        return np.repeat(np.abs(waveforms).mean(axis=1, keepdims=True), len(self.labels), axis=1)


@settings(max_examples=30)
@given(st.integers(1, 5_000), st.integers(0, 5_000))
def test_decisions_cover_the_recording_and_never_know_what_comes(length: int, cut: int) -> None:
    peer = Peer("p", Loudness("Dog"), 400)
    samples = np.random.default_rng(length).uniform(-1, 1, length).astype(np.float32)
    line = peer.timeline(samples)
    assert line.edges[0] == 0
    assert line.edges[-1] == pytest.approx(length / RATE)
    assert len(line.scores) == -(-length // 400)
    earlier = peer.timeline(samples[: max(cut, 1)])
    whole = min(cut, length) // 400
    assert np.array_equal(earlier.scores[:whole], line.scores[:whole])


def test_windows_end_with_their_decision() -> None:
    samples = np.zeros(4_000, np.float32)
    samples[2_000:] = 1
    line = Peer("p", Loudness("Dog"), 500).timeline(samples)
    assert line.scores[:, 0].tolist() == [0, 0, 0, 0, 0.5, 1, 1, 1]
    assert Peer("p", Loudness("Dog"), 500).clips([samples]).tolist() == [[pytest.approx(3.5 / 8)]]


def test_what_was_scored_once_is_read_from_the_cache(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 3_000).astype(np.float32)
    teacher = Loudness("Dog", "Cat")
    first = Peer("p", teacher, 400, tmp_path).timeline(samples)
    asked = teacher.asked
    again = Peer("p", teacher, 400, tmp_path).timeline(samples)
    assert np.array_equal(first.scores, again.scores)
    assert teacher.asked == asked > 0
    Peer("p", teacher, 400, tmp_path).timeline(samples[1:])
    assert teacher.asked == 2 * asked
    assert not list(tmp_path.glob("*.part"))


def test_the_mean_is_over_those_that_have_a_label_and_of_what_was_decided_last() -> None:
    fast, slow = Peer("fast", Loudness("Dog", "Cat", rate=2 * RATE), 1_000), Peer("slow", Loudness("Cat"), 1_000)
    mean = MeanOfPeers([fast, slow])
    assert [label.name for label in mean.labels] == ["Dog", "Cat"]
    assert mean.spec.sample_rate == 2 * RATE
    samples = np.zeros(8_000, np.float32)
    samples[4_000:] = 0.5
    line = mean.timeline(samples)
    own = fast.timeline(samples)
    assert np.array_equal(line.edges, own.edges)
    assert np.array_equal(line.scores[:, 0], own.scores[:, 0])
    # The slow one's third window is the first that is loud; it ends at 3,000 of its samples, 6,000 of the mean's.
    assert line.scores[4, 1] == pytest.approx(own.scores[4, 1] / 2, abs=0.01)
    assert line.scores[5, 1] == pytest.approx(0.5, abs=0.02)
