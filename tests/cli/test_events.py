"""Since when `asit-edge events` reads."""

import pytest

from asit_edge.cli.shared.moments import parse_since
from asit_edge.errors import WrongUse


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 99_970.0), ("1.5m", 99_910.0), ("12h", 56_800.0), ("1d", 13_600.0), ("1970-01-01T00:01:00Z", 60.0)],
)
def test_a_duration_before_now_or_a_time(text: str, expected: float) -> None:
    assert parse_since(text, now=100_000.0) == expected


@pytest.mark.parametrize("text", ["noon", "12", "1w", "-3h", ""])
def test_anything_else_is_named(text: str) -> None:
    with pytest.raises(WrongUse, match=f"--since '{text}': neither a duration"):
        parse_since(text, now=0.0)
