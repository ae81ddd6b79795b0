"""Times of samples: exact to the millisecond, UTC, and independent of the system clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.clock import SampleClock, iso, parse_iso


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
