"""Times of samples: exact to the millisecond, UTC, and independent of the system clock."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.audio.clock import (
    BELIEVED_AFTER,
    JUMP,
    STEP,
    WINDOW,
    Pace,
    SampleClock,
    SystemClock,
    WallWatch,
    iso,
    parse_iso,
    steady,
)


def test_times_are_utc_with_milliseconds() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(1777604400.96) == "2026-05-01T03:00:00.960Z"
    assert iso(59.9996) == "1970-01-01T00:01:00.000Z"


def test_a_position_is_anchor_plus_samples() -> None:
    clock = SampleClock(1_000.0, 16_000)
    assert clock.epoch(0) == 1_000.0
    assert clock.epoch(24_000) == 1_001.5
    assert SampleClock(0.0, 16_000).epoch(1_003) == 0.063, "to the millisecond, and no further"
    assert SampleClock(0.0, 16_000).epoch(17) == 0.001


@given(st.integers(0, 4_000_000_000_000))
def test_iso_times_are_read_back(milliseconds: int) -> None:
    assert parse_iso(iso(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, abs=5e-4)


def test_a_time_without_zone_is_utc() -> None:
    assert (
        parse_iso("2026-05-01T03:00:00") == parse_iso("2026-05-01T03:00:00Z") == parse_iso("2026-05-01T05:00:00+02:00")
    )


def test_a_time_without_zone_is_utc_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert parse_iso("2026-05-01T03:00:00") == 1777604400.0
        assert iso(1777604400.0) == "2026-05-01T03:00:00.000Z"
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


@pytest.mark.parametrize("text", ["", "noon", "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Invalid|month"):
        parse_iso(text)


def arrivals(pace: Pace, rate: int, begin: float, first: int, seconds: float, delay: float = 0.0) -> int:
    """Blocks of 10 ms that arrive up to 30 ms late; returns how many samples there were in the end."""
    rng = np.random.default_rng(first)
    written = first
    for _ in range(round(seconds * 100)):
        written += rate // 100
        pace.arrive(written, begin + written / rate + delay + rng.uniform(0, 0.03))
    return written


def test_the_least_delayed_block_says_when_the_first_sample_was_heard() -> None:
    pace = Pace(16_000)
    arrivals(pace, 16_000, 50.0, 0, 1)
    pace.anchor()
    assert pace.begin == pytest.approx(50, abs=0.005)


@given(st.floats(0.2, 100), st.floats(0, 100))
def test_what_was_lost_in_a_pause_is_measured(lost: float, kept: float) -> None:
    pace = Pace(16_000)
    written = arrivals(pace, 16_000, 50.0, 0, 2)
    pace.anchor()
    pace.restart()
    backlog = round(kept * 16_000)
    pace.arrive(written + backlog, 50 + (written + backlog) / 16_000 + lost)
    arrivals(pace, 16_000, 50.0, written + backlog, 0.5, lost)
    assert pace.settle() == pytest.approx(lost, abs=0.03)


def test_windows_tell_jumps_from_drift() -> None:
    pace = Pace(16_000)
    written = arrivals(pace, 16_000, 50.0, 0, 1)
    pace.anchor()
    found = []
    for step in range(40):  # 0.5 s each; a fifth of a second is lost after ten seconds
        written = arrivals(pace, 16_000, 50.0, written, 0.5, 0.2 if step >= 20 else 0.0)
        lost, drifted = pace.windowed(50 + written / 16_000 + 0.2)
        if lost:
            found.append((step, lost))
            pace.shift(lost)
        assert abs(drifted) < 0.03
    [(step, lost)] = found
    assert 20 <= step <= 30
    assert lost == pytest.approx(0.2, abs=0.02)


def test_a_step_of_the_wall_clock_is_believed_when_it_has_lasted() -> None:
    watch = WallWatch(1_000.0)
    assert watch.step(0, 1_000) == 0
    assert watch.step(10, 4_610) == 0
    assert watch.step(60, 4_660) == 0
    assert watch.step(71, 4_671) == 3_600
    watch.offset += 3_600
    assert watch.step(72, 4_672) == 0


def test_a_step_that_is_taken_back_is_forgotten() -> None:
    watch = WallWatch(1_000.0)
    assert watch.step(10, 4_610) == 0
    assert watch.step(50, 1_050) == 0
    assert watch.step(100, 4_700) == 0
    assert watch.step(159, 4_759) == 0


def test_the_steady_clock_is_the_machines() -> None:
    clock = SystemClock()
    before = clock.steady()
    assert steady() - before < 5
    assert clock.asleep() == pytest.approx(steady() - time.monotonic(), abs=1)
    assert clock.wall() == pytest.approx(time.time(), abs=5)


def test_a_step_counts_from_its_size_on_and_is_believed_at_once_when_its_time_has_come() -> None:
    watch = WallWatch(1_000.0)
    assert watch.step(0, 1_000 + STEP / 2) == 0
    assert watch.step(BELIEVED_AFTER, 1_000 + BELIEVED_AFTER + STEP / 2) == 0, "too small to be a step"
    watch = WallWatch(1_000.0)
    assert watch.step(8, 1_008 + STEP) == 0
    assert watch.step(8 + BELIEVED_AFTER, 1_008 + BELIEVED_AFTER + STEP) == STEP, "exactly so large and so long"


def test_a_second_step_begins_its_own_minute() -> None:
    watch = WallWatch(0.0)
    assert watch.step(0, 100) == 0
    assert watch.step(59, 59 + 300) == 0
    assert watch.step(60, 60 + 300) == 0, "the first one has not lasted"
    assert watch.step(118, 118 + 300) == 0
    assert watch.step(119, 119 + 300) == 300
    assert watch.step(200, 200 - 300) == 0, "and so does one backwards"
    assert watch.step(260, 260 - 300) == -300
    watch = WallWatch(0.0)
    assert watch.step(0, STEP) == 0
    assert watch.step(30, 30 + 2 * STEP) == 0, "a step is one whatever it is counted from"
    assert watch.step(60, 60 + 2 * STEP) == 0
    assert watch.step(90, 90 + 2 * STEP) == 2 * STEP


def test_a_step_forgotten_begins_anew_even_to_where_it_went_before() -> None:
    watch = WallWatch(0.0)
    watch.step(0, 100)
    watch.step(30, 30)
    assert watch.step(31, 131) == 0
    assert watch.step(61, 161) == 0
    assert watch.step(91, 191) == 100


def paced(*arrivals: tuple[float, float]) -> Pace:
    """A pace at 1 kHz, begun at 0, that has heard so many seconds of samples by such times."""
    pace = Pace(1_000)
    pace.arrive(0, 0.0)
    pace.anchor()
    for heard, at in arrivals:
        pace.arrive(round(1_000 * heard), at)
    return pace


def test_before_anything_has_come_nothing_is_lost() -> None:
    pace = Pace(1_000)
    assert pace.begin is None
    pace.anchor()
    assert pace.begin is None
    assert (pace.settle(), pace.windowed(100.0)) == (0.0, (0.0, 0.0))
    pace.arrive(500, 10.0)
    assert pace.begin == 9.5
    pace.restart()
    assert (pace.settle(), pace.windowed(100.0)) == (0.0, (0.0, 0.0)), "nor between a restart and what comes next"
    assert pace.begin == 9.5


def test_the_earliest_arrival_of_a_window_counts_and_of_two_windows_the_earlier() -> None:
    pace = paced((1.0, 1.5), (1.5, 1.75), (3.0, 3.5))
    assert pace.windowed(1.5 + WINDOW / 2) == (0.0, 0.0), "not yet"
    assert pace.windowed(1.5 + WINDOW) == (0.0, 0.0), "one window says nothing"
    pace.arrive(4_000, 4.5)
    pace.arrive(6_000, 6.5)
    assert pace.windowed(4.5 + WINDOW) == (0.25, 0.0)
    assert pace.begin == 0.0, "nothing is corrected yet"
    pace.shift(0.25)
    pace.arrive(7_000, 7.5)
    pace.arrive(9_000, 9.5)
    assert pace.windowed(7.5 + WINDOW) == (0.25, 0.0), "the first of the three is forgotten"
    pace.shift(0.25)
    assert pace.begin == 0.5


@pytest.mark.parametrize("behind", [-0.5, -0.0625, 0.0625])
def test_what_does_not_jump_has_drifted(behind: float) -> None:
    pace = paced((1.0, 1.0 + behind))
    pace.windowed(1.0 + behind + WINDOW)
    pace.arrive(4_000, 4.0 + behind)
    assert pace.windowed(4.0 + behind + WINDOW) == (0.0, behind)


def test_a_jump_is_more_than_its_size_and_no_drift() -> None:
    for behind, lost in ((JUMP, 0.0), (JUMP + 1 / 1_024, JUMP + 1 / 1_024)):
        pace = Pace(1_000)
        pace.arrive(0, 0.0)
        pace.anchor()
        pace.arrive(0, behind)
        assert pace.settle() == lost
        assert pace.begin == 0.0


def test_a_restart_forgets_the_windows_before_it() -> None:
    pace = paced((1.0, 2.0))
    pace.windowed(2.0 + WINDOW)
    pace.restart()
    pace.arrive(4_000, 4.5)
    assert pace.windowed(4.5 + WINDOW) == (0.0, 0.0)
    pace.arrive(7_000, 7.5)
    assert pace.windowed(7.5 + WINDOW) == (0.5, 0.0)


def test_a_window_lasts_its_time_however_often_one_asks() -> None:
    pace = paced((1.0, 1.0))
    for tenth in range(11, 30):
        pace.arrive(500, tenth / 10)
        assert pace.windowed(tenth / 10) == (0.0, 0.0)


def test_a_restart_forgets_the_window_that_it_is_in() -> None:
    pace = paced((1.0, 1.0))
    pace.restart()
    pace.arrive(2_000, 2.5)
    assert pace.settle() == 0.5
    assert pace.settle() == 0.0, "it has been judged"
    assert pace.windowed(100.0) == (0.0, 0.0)


def test_a_window_that_is_behind_by_no_more_than_a_jump_has_drifted() -> None:
    pace = Pace(1_000)
    pace.arrive(0, 0.0)
    pace.anchor()
    for at in (JUMP, JUMP + WINDOW):
        pace.arrive(round(1_000 * (at - JUMP)), at)
        found = pace.windowed(at + WINDOW)
    assert found == (0.0, JUMP)


def test_what_counts_as_a_step_a_jump_and_a_window() -> None:
    """docs/operations.md promises these: a step that lasts a minute, 0.12 s, within 4 s."""
    assert (STEP, BELIEVED_AFTER, JUMP, WINDOW) == (0.25, 60.0, 0.12, 2.0)
