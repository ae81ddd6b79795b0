"""The tape: what is cut is what was heard then, without a gap in it, and it never holds more than it should."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.clips.tape import FOLLOWS, PAGE, Tape

RATE = 100
SECONDS = 8.0

STEPS = st.lists(
    st.tuples(
        st.integers(1, 250),
        st.sampled_from([0.0, 0.0, 0.0, 0.001, -0.001, 0.1, -0.1, 3.0, -40.0]),
        st.sampled_from([RATE, RATE, RATE, 2 * RATE]),
    ),
    min_size=1,
    max_size=40,
)


class Model:
    """What the tape is held to: everything, sample by sample, in stretches."""

    def __init__(self) -> None:
        self.stretches: list[tuple[float, int, list[int]]] = []

    def hear(self, epoch: float, values: range, rate: int) -> None:
        if self.stretches:
            begin, before, kept = self.stretches[-1]
            if before == rate and abs(epoch - begin - len(kept) / rate) <= FOLLOWS:
                kept.extend(values)
                return
        self.stretches.append((epoch, rate, list(values)))


@given(STEPS, st.floats(0, 1), st.floats(0, 3), st.floats(0, 4))
def test_a_cut_is_what_was_heard_then_of_one_stretch(
    steps: list[tuple[int, float, int]], share: float, before: float, after: float
) -> None:
    tape, model, time, number = Tape(SECONDS), Model(), 1_000.0, 0
    for length, jump, rate in steps:
        time += jump
        values = range(number, number + length)
        tape.hear(time, (np.array(values) % 30_000 / 32_768).astype(np.float32), rate)
        model.hear(time, values, rate)
        time += length / rate
        number += length
        assert tape.kept <= SECONDS + PAGE + 1e-9
    assert tape.kept >= min(SECONDS, number / (2 * RATE)) - 1e-9
    begin, rate, kept = model.stretches[-1]
    onset = begin + share * len(kept) / rate
    cut = tape.cut(onset, onset - before, onset + after)
    first = max(round((onset - before - begin) * rate), 0)
    last = min(round((onset + after - begin) * rate), len(kept))
    expected = kept[first:last]
    if cut is None:
        assert not expected or len(kept) / rate > SECONDS  # that much is over, or it was nothing
        return
    found = [int(sample) for sample in cut.samples]
    forgotten = len(expected) - len(found)
    assert found == [value % 30_000 for value in expected[forgotten:]]
    assert forgotten == 0 or len(kept) / rate > SECONDS
    assert cut.begin == pytest.approx(begin + (first + forgotten) / rate, abs=1e-6)
    assert cut.seconds == pytest.approx(len(found) / rate)
    # One block after the other, whoever cuts, however many pages it takes.
    assert all(b - a in (1, -29_999) for a, b in pairwise(found))


def test_events_that_overlap_are_cut_from_the_same_memory() -> None:
    tape = Tape(30)
    for second in range(20):
        tape.hear(100.0 + second, np.full(RATE, second / 100, np.float32), RATE)
    first, other = tape.cut(108, 103, 112), tape.cut(110, 105, 115)
    assert first is not None
    assert other is not None
    assert first.seconds == 9
    assert other.seconds == 10
    assert any(np.shares_memory(one, another) for one in first.pages for another in other.pages)


def test_what_is_heard_afterwards_changes_no_cut() -> None:
    tape = Tape(3)
    tape.hear(100.0, np.full(RATE // 2, 0.25, np.float32), RATE)
    cut = tape.cut(100.1, 100.0, 101.0)
    assert cut is not None
    for step in range(200):
        tape.hear(100.5 + step / 10, np.full(RATE // 10, -0.5, np.float32), RATE)
    assert set(cut.samples) == {8_192}
    assert tape.cut(100.1, 100.0, 101.0) is None, "and in the end it is not remembered any more"


def test_samples_of_sixteen_bits_come_back_as_they_were() -> None:
    values = np.array([-32_768, -32_767, -1, 0, 1, 32_766, 32_767], np.int16)
    tape = Tape(10)
    tape.hear(5.0, values.astype(np.float32) / 32_768, RATE)
    tape.hear(5.07, np.array([1.0, -7.5, 7.5], np.float32), RATE)
    cut = tape.cut(5.0, 5.0, 6.0)
    assert cut is not None
    assert list(cut.samples) == [*values, 32_767, -32_768, 32_767]


def test_a_device_that_breaks_off_all_the_time_fills_no_memory() -> None:
    tape = Tape(1_000)
    for number in range(5_000):
        tape.hear(10.0 * number, np.zeros(3, np.float32), RATE)
    assert tape.kept <= 100 * 3 / RATE
