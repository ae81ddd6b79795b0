"""What of the audio may be listened to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.audio.level import CLIPPED_SHARE, FULL_SCALE, LOUDEST
from asit_edge.listen.supervision.intake import Intake, checked

RATE = 1_000
NOISE = np.random.default_rng(0).normal(0, 0.1, 10 * RATE).astype(np.float32)
ZEROS = np.zeros(10 * RATE, np.float32)


def intake(silent_after: float = 2.0) -> Intake:
    made = Intake(silent_after)
    made.begin(RATE)
    return made


def test_samples_that_are_no_numbers_are_silence_and_named() -> None:
    block, problems = checked(np.array([[0.1], [np.nan], [np.inf], [-np.inf]], np.float32))
    assert block.tolist() == [[pytest.approx(0.1)], [0], [0], [0]]
    assert len(problems) == 1
    assert "not numbers" in problems[0]


def test_clipped_audio_is_named() -> None:
    assert checked(np.ones((100, 1), np.float32))[1]
    assert not checked(NOISE[:100, None])[1]


def test_one_value_for_long_is_digital_silence_until_another_comes() -> None:
    found = intake()
    assert found.take(NOISE[:RATE]).flat_seconds == 0
    taken = found.take(ZEROS[: 2 * RATE])
    assert (len(taken.samples), found.silent) == (2 * RATE, True)
    assert taken.flat_seconds == pytest.approx(2.0)
    assert len(found.take(ZEROS[:RATE]).samples) == 0
    taken = found.take(np.concatenate((ZEROS[:300], NOISE[:200])))
    assert (taken.skipped, len(taken.samples), found.silent) == (300, 200, False)


def test_it_is_measured_once_a_second() -> None:
    found = intake(0.0)
    assert [len(found.take(NOISE[start : start + 400]).levels) for start in range(0, 2_000, 400)] == [0, 0, 1, 0, 1]


def test_a_file_may_be_silent() -> None:
    found = intake(0.0)
    assert found.take(ZEROS).flat_seconds == 0
    assert not found.silent


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5_000)), max_size=12))
def test_every_sample_is_taken_or_skipped(parts: list[tuple[bool, int]]) -> None:
    found = intake()
    for loud, length in parts:
        samples = (NOISE if loud else ZEROS)[:length]
        was_silent = found.silent
        taken = found.take(samples)
        assert taken.skipped + len(taken.samples) == len(samples)
        assert was_silent or not taken.skipped, "only a silence that is known is skipped"
        assert bool(taken.flat_seconds) == (found.silent and len(taken.samples) > 0)


@given(st.lists(st.floats(width=32), min_size=1, max_size=20))
def test_whatever_comes_what_is_heard_is_finite_and_bounded(samples: list[float]) -> None:
    block, problems = checked(np.array(samples, np.float32)[:, None])
    assert np.isfinite(block).all()
    assert np.abs(block).max() <= LOUDEST
    assert problems or block[:, 0].tolist() == samples


def test_what_no_microphone_gives_is_named_and_cut_on_both_sides() -> None:
    block, [problem, clipped] = checked(np.float32([[2 * LOUDEST], [-2 * LOUDEST]]))
    assert block.tolist() == [[LOUDEST], [-LOUDEST]]
    assert "beyond 8 times full scale" in problem
    assert "clipped" in clipped
    block, problems = checked(np.float32([[LOUDEST], *[[0.0]] * 999]))
    assert (block.max(), problems) == (LOUDEST, []), "exactly so loud may be"
    assert checked(np.zeros((0, 1), np.float32))[1] == [], "nothing is nothing wrong"


def test_a_share_of_full_scale_is_clipped() -> None:
    loud = round(1_000 * CLIPPED_SHARE)
    block = np.zeros((1_000, 1), np.float32)
    block[:loud] = FULL_SCALE
    assert checked(block)[1] == []
    block[loud] = -FULL_SCALE
    assert "clipped" in checked(block)[1][0]


def test_a_silence_belongs_to_its_capture() -> None:
    found = intake()
    assert not found.silent
    found.take(ZEROS[: 3 * RATE])
    assert found.silent
    found.begin(RATE)
    assert not found.silent
    taken = found.take(ZEROS[:RATE])
    assert (taken.skipped, len(taken.samples), taken.flat_seconds) == (0, RATE, 0.0)
    assert not Intake(2.0).silent


def test_what_does_not_follow_on_is_a_silence_of_its_own() -> None:
    found = intake()
    found.take(ZEROS[:RATE])
    found.interrupt()
    assert found.take(ZEROS[:RATE]).flat_seconds == 0, "one second and one second are not two in a row"
    assert found.take(ZEROS[:RATE]).flat_seconds == pytest.approx(2.0)


def test_it_is_silent_after_so_many_seconds_exactly() -> None:
    found = Intake(2.0)
    found.begin(500)
    found.take(ZEROS[:999])
    assert not found.silent
    found.take(ZEROS[:1])
    assert found.silent


def test_without_a_limit_nothing_is_skipped() -> None:
    found = intake(0.0)
    assert [found.take(ZEROS[:RATE])[1:] for _ in range(4)][-1][0] == 0
    assert len(found.take(ZEROS[:RATE]).levels) == 1
