"""Moments as people type them."""

import re

from asit_edge.audio.clock import parse_iso
from asit_edge.errors import WrongUse

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def parse_since(text: str, now: float, option: str = "--since") -> float:
    """`30m`, `12h`, `7d` before now, or an ISO 8601 time, in seconds since the epoch. Raises WrongUse."""
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text):
        return now - float(match[1]) * UNITS[match[2]]
    try:
        return parse_iso(text)
    except ValueError:
        raise WrongUse(f"{option} {text!r}: neither a duration such as 30m, 12h, 7d nor an ISO 8601 time") from None


def parse_duration(text: str, what: str, shortest: float, longest: float) -> float:
    """`30m`, `2h`, `1d` in seconds, within bounds (seconds). Raises WrongUse, which says `what` it is for."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if not shortest <= seconds <= longest:
        raise WrongUse(f"{what} {text!r}: must be a time such as 30m, 2h or 1d, at most {longest / UNITS['d']:g}d")
    return seconds
