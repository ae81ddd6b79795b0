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
