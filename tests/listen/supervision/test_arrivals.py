"""What the times at which blocks come say of one capture."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.listen.supervision.arrivals import SETTLE, Arrivals, Verdict

RATE = 16_000
BLOCK = RATE // 50


def fed(arrivals: Arrivals, written: int, now: float, seconds: float, late: float = 0.0) -> tuple[int, float]:
    """Blocks of 20 ms, one after the other, each `late` seconds after it was heard."""
    for _ in range(round(seconds * 50)):
        written, now = written + BLOCK, now + BLOCK / RATE
        arrivals.note((written, now + late), 0.0)
    return written, now


def test_a_live_capture_is_placed_by_its_least_delayed_block() -> None:
    arrivals = Arrivals(RATE, True, 100.0, 0.0)
    assert arrivals.place((0, 0.0), 100.0, ending=False) is None
    assert not arrivals.come
    arrivals.note((BLOCK, 100.3), 0.0)  # the first block comes late
    assert arrivals.place((BLOCK, 100.3), 100.3, ending=False) is None
    assert arrivals.come
    arrivals.note((20 * BLOCK, 100.4), 0.0)  # and those behind it in a burst: sample 0 was heard at 100.0
    assert arrivals.place((20 * BLOCK, 100.4), 100.3 + SETTLE, ending=False) == pytest.approx(100.0)
    assert arrivals.placed
    assert arrivals.place((20 * BLOCK, 100.4), 200.0, ending=False) is None, "only once"


def test_what_ends_at_once_is_placed_at_once() -> None:
    arrivals = Arrivals(RATE, True, 100.0, 0.0)
    arrivals.note((RATE, 101.0), 0.0)
    assert arrivals.place((RATE, 101.0), 101.0, ending=True) == pytest.approx(100.0)


def test_a_file_begins_with_its_first_block_and_loses_nothing() -> None:
    arrivals = Arrivals(RATE, False, 100.0, 0.0)
    arrivals.note((BLOCK, 100.5), 0.0)
    assert arrivals.place((BLOCK, 100.5), 100.5, ending=False) == pytest.approx(100.48)
    assert arrivals.judge((BLOCK, 900.0), (2 * BLOCK, 900.0), BLOCK, 900.0, ending=False) == Verdict()


@pytest.mark.parametrize("lost", [0.0, 3.0])
def test_a_pause_is_judged_once_what_came_after_it_has_settled(lost: float) -> None:
    arrivals = Arrivals(RATE, True, 0.0, 0.0)
    written, now = fed(arrivals, 0, 0.0, 1.0)
    arrivals.place((written, now), now, ending=False)
    pause_at = now + 3.0
    pause = (written, pause_at)
    kept = 0 if lost else round(3.0 * RATE)  # the device kept its audio, and it comes in a burst
    last = (written + kept + BLOCK, pause_at + BLOCK / RATE)
    before = arrivals.judge(pause, last, written - BLOCK, pause_at, ending=False)
    assert before.readable == BLOCK, "up to the pause, audio may be read"
    assert arrivals.judge(pause, last, written, pause_at, ending=False) == Verdict(readable=0)
    arrivals.note(last, 0.0)
    verdict = arrivals.judge(pause, last, written, pause_at + SETTLE, ending=False)
    assert verdict.judged
    assert verdict.lost == pytest.approx(lost, abs=0.05)
    assert arrivals.judge(pause, last, written, pause_at + SETTLE, ending=False).readable is None, "only once"


def test_nobody_waits_while_the_machine_sleeps() -> None:
    arrivals = Arrivals(RATE, True, 0.0, 5.0)
    arrivals.note((BLOCK, 1.0), 5.0)
    assert arrivals.waiting(11.0, 5.0) == pytest.approx(10.0)
    assert arrivals.waiting(11.0, 15.0) == pytest.approx(0.0)


@given(late=st.lists(st.floats(0, 0.09), min_size=300, max_size=300))
def test_late_blocks_are_neither_lost_nor_drifted(late: list[float]) -> None:
    arrivals = Arrivals(RATE, True, 0.0, 0.0)
    written, at = 0, 0.0
    for number, delay in enumerate(late, start=1):
        written, at = number * BLOCK, max(at, number * BLOCK / RATE + delay)
        arrivals.note((written, at), 0.0)
        arrivals.place((written, at), at, ending=False)
        if arrivals.placed:
            verdict = arrivals.judge(None, (written, at), written, at, ending=False)
            assert verdict.lost == 0
            assert abs(verdict.drifted) < 0.1


def test_what_is_known_before_anything_has_come() -> None:
    arrivals = Arrivals(RATE, True, 100.0, 7.0)
    assert (arrivals.placed, arrivals.come, arrivals.stalled) == (False, False, False)
    assert arrivals.waiting(103.0, 7.0) == 3.0
    arrivals.note((0, 102.0), 7.0)
    assert arrivals.waiting(103.0, 7.0) == 3.0, "no samples are no arrival"
    assert Verdict() == Verdict(readable=None, lost=0.0, drifted=0.0, judged=False)


def test_an_arrival_counts_by_when_it_came_and_not_by_when_it_is_looked_at() -> None:
    arrivals = Arrivals(RATE, True, 0.0, 0.0)
    arrivals.note((BLOCK, 1.0), 0.0)
    arrivals.note((BLOCK, 1.0), 5.0)  # the machine has slept since
    assert arrivals.waiting(7.0, 5.0) == pytest.approx(1.0)


def test_the_first_samples_settle_from_their_first_block_on() -> None:
    arrivals = Arrivals(RATE, True, 0.0, 0.0)
    arrivals.note((BLOCK, 50.0), 0.0)
    assert arrivals.place((BLOCK, 50.0), 50.0, ending=False) is None, "long after the device was opened"
    assert arrivals.place((BLOCK, 50.0), 50.0 + 0.99 * SETTLE, ending=False) is None
    assert arrivals.place((BLOCK, 50.0), 50.0 + SETTLE, ending=False) == pytest.approx(50.0 - BLOCK / RATE)
    assert SETTLE == 0.5


def test_of_a_burst_at_the_beginning_the_last_block_says_when_it_was_heard() -> None:
    """The block by which it is placed had not been noted before."""
    arrivals = Arrivals(RATE, True, 0.0, 0.0)
    arrivals.note((BLOCK, 50.0), 0.0)
    arrivals.place((BLOCK, 50.0), 50.0, ending=False)
    assert arrivals.place((2 * RATE, 50.6), 50.6, ending=False) == pytest.approx(48.6)


def test_a_late_block_at_the_end_of_the_beginning_moves_nothing() -> None:
    arrivals = Arrivals(RATE, True, 0.0, 0.0)
    arrivals.note((BLOCK, 50.0), 0.0)
    arrivals.place((BLOCK, 50.0), 50.0, ending=False)
    assert arrivals.place((2 * BLOCK, 50.6), 50.6, ending=False) == pytest.approx(50.0 - BLOCK / RATE)


def placed() -> tuple[Arrivals, int, float]:
    """A capture that has come for a second without delay: what it knows, samples, time."""
    arrivals = Arrivals(RATE, True, 0.0, 0.0)
    arrivals.place((BLOCK, BLOCK / RATE), 0.0, ending=True)
    assert arrivals.placed
    written, now = fed(arrivals, BLOCK, BLOCK / RATE, 1.0)
    return arrivals, written, now


def test_a_pause_is_judged_by_the_earliest_of_all_that_came_after_it() -> None:
    arrivals, written, now = placed()
    pause = (written, now + 3.0)
    late = (written + BLOCK, now + 3.3)  # what came first, came late
    assert arrivals.judge(pause, late, written, now + 3.3, ending=False) == Verdict(readable=0)
    arrivals.note((written + 10 * BLOCK, now + 3.0 + 10 * BLOCK / RATE), 0.0)
    newest = (written + 11 * BLOCK, now + 3.4)
    assert arrivals.judge(pause, newest, written, now + 3.4, ending=False) == Verdict(readable=0)
    verdict = arrivals.judge(pause, newest, written, now + 3.0 + SETTLE, ending=False)
    assert verdict == Verdict(readable=0, lost=pytest.approx(3.0, abs=0.01), judged=True)


def test_a_pause_at_the_end_is_judged_at_once_by_what_there_is() -> None:
    arrivals, written, now = placed()
    verdict = arrivals.judge((written, now + 3.0), (written + BLOCK, now + 3.0), written, now + 3.0, ending=True)
    assert verdict == Verdict(readable=0, lost=pytest.approx(3.0 - BLOCK / RATE, abs=0.01), judged=True)


def test_what_is_accounted_for_is_not_found_again() -> None:
    arrivals, written, now = placed()
    found = []
    for _ in range(10):
        written, now = fed(arrivals, written, now, 1.0, late=0.5)
        verdict = arrivals.judge(None, (written, now + 0.5), written, now + 0.5, ending=False)
        if verdict.lost:
            found.append(verdict.lost)
            arrivals.shift(verdict.lost)
    assert found == [pytest.approx(0.5, abs=0.01)]


def test_windows_end_by_the_clock_and_not_by_samples() -> None:
    arrivals, written, _ = placed()
    lost = []
    for at in (2.0, 4.5, 5.0, 7.5, 8.0, 10.5):
        arrivals.note((written, at), 0.0)
        lost.append(arrivals.judge(None, (written, at), written, at, ending=False).lost)
    assert lost == [0, 0, 0, 0, 0, pytest.approx(5.0 - written / RATE)]


def test_a_file_may_be_noted_and_is_never_compared_with_the_clock() -> None:
    arrivals = Arrivals(RATE, False, 0.0, 0.0)
    for at in (1.0, 4.0, 8.0):
        arrivals.note((BLOCK, at), 0.0)
    assert arrivals._pace.begin is None
