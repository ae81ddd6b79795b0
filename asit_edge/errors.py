"""Errors that speak to the person at the keyboard: what was wrong, where, and what would be right.

Every error that bad input can cause is one of these; the command line prints its text on one line and exits
with `exit_code`. Anything else that escapes is a defect of ours.
"""


class AsitEdgeError(Exception):
    """The work was asked for correctly and could not be done (a broker refuses, a file is corrupt)."""

    exit_code = 1


class WrongUse(AsitEdgeError):
    """What was asked for makes no sense (an unknown key, a missing file, a device that does not exist)."""

    exit_code = 2


def one_line(error: object) -> str:
    """Another library's error text, on one line."""
    return " ".join(str(error).split())
