"""Times of samples: exact to the millisecond, UTC, and independent of the system clock."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.audio.clock import Pace, SampleClock, SystemClock, WallWatch, iso, parse_iso, steady


def test_times_are_utc_with_milliseconds() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(1777604400.96) == "2026-05-01T03:00:00.960Z"
    assert iso(59.9996) == "1970-01-01T00:01:00.000Z"


def test_a_position_is_anchor_plus_samples() -> None:
    clock = SampleClock(1_000.0, 16_000)
    assert clock.epoch(0) == 1_000.0
    assert clock.epoch(24_000) == 1_001.5


@given(st.integers(0, 4_000_000_000_000))
def test_iso_times_are_read_back(milliseconds: int) -> None:
    assert parse_iso(iso(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, abs=5e-4)


def test_a_time_without_zone_is_utc() -> None:
    assert (
        parse_iso("2026-05-01T03:00:00") == parse_iso("2026-05-01T03:00:00Z") == parse_iso("2026-05-01T05:00:00+02:00")
    )


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
    assert clock.asleep() > -1
    assert clock.wall() == pytest.approx(time.time(), abs=5)
