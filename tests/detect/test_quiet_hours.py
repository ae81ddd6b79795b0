"""Quiet hours are local time and may lie on both sides of midnight."""

import time

import pytest

from asit_edge.audio.clock import parse_iso
from asit_edge.config.events import QuietHours
from asit_edge.detect.quiet_hours import QuietTimes, holds


@pytest.fixture(autouse=True)
def _summer_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()


@pytest.mark.parametrize(
    ("begin", "end", "utc", "quiet"),
    [
        ("22:00", "06:30", "2026-05-01T20:59:59Z", False),
        ("22:00", "06:30", "2026-05-01T21:00:00Z", True),
        ("22:00", "06:30", "2026-05-02T05:29:59Z", True),
        ("22:00", "06:30", "2026-05-02T05:30:00Z", False),
        ("12:00", "13:00", "2026-05-01T11:30:00Z", True),
        ("12:00", "13:00", "2026-05-01T12:00:00Z", False),
    ],
)
def test_begin_is_in_and_end_is_out(begin: str, end: str, utc: str, quiet: bool) -> None:
    assert holds(QuietHours(begin=begin, end=end), parse_iso(utc)) is quiet


def test_entries_are_for_sources_and_labels() -> None:
    night = QuietHours(begin="22:00", end="06:00", labels=["Dog"])
    lunch = QuietHours(begin="12:00", end="13:00", sources=["kitchen"])
    midnight, noon = parse_iso("2026-05-01T23:00:00Z"), parse_iso("2026-05-01T11:15:00Z")
    kitchen = QuietTimes([night, lunch], "kitchen", ["Cat", "Dog"])
    hall = QuietTimes([night, lunch], "hall", ["Cat", "Dog"])
    assert kitchen.muted_labels(midnight) == hall.muted_labels(midnight) == {1}
    assert kitchen.muted_labels(noon) == frozenset()
    assert kitchen.muting(noon) is lunch
    assert hall.muting(noon) is None
    assert hall.muting(midnight) is None
