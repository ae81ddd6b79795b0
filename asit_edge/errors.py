"""Errors that speak to the person at the keyboard: what was wrong, where, and what would be right.

Every error that bad input can cause is one of these; the command line prints its text on one line and exits
with `exit_code`. Anything else that escapes is a defect of ours.
"""

import os
import shlex
import unicodedata
from pathlib import Path


class AsitEdgeError(Exception):
    """The work was asked for correctly and could not be done (a broker refuses, a file is corrupt)."""

    exit_code = 1


class WrongUse(AsitEdgeError):
    """What was asked for makes no sense (an unknown key, a missing file, a device that does not exist)."""

    exit_code = 2


def one_line(error: object) -> str:
    """Another library's error text, on one line."""
    return " ".join(str(error).split())


def readable(text: object) -> str:
    """A text that may contain names as people gave them, on one line, for every terminal and encoding.

    Line breaks, control characters and what cannot be seen become what Python writes for them, such as `\\n`; bytes of
    file names that are not UTF-8 become `\\xe0`.
    """
    return "".join(
        one if one.isprintable() or unicodedata.category(one) == "Zs" else _escaped(one) for one in str(text)
    )


def decodable(text: object) -> str:
    """A text that can be encoded, for JSON: only bytes of file names that are not UTF-8 become `\\xe0`."""
    return "".join(_escaped(one) if "\ud800" <= one <= "\udfff" else one for one in str(text))


def for_shell(path: Path) -> str:
    """A file's name in a command that works when it is pasted into bash: never taken for an option or an address."""
    name = str(path)
    if not path.is_absolute() and (name.startswith("-") or ":" in name):
        name = f"./{name}"
    if readable(name) == name:
        return shlex.quote(name)
    shown = name.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + "".join(one if readable(one) == one else _bytes(one) for one in shown) + "'"


def _bytes(one: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(one))


def _escaped(one: str) -> str:
    if "\udc80" <= one <= "\udcff":  # how Python decodes a byte that is not UTF-8
        return f"\\x{ord(one) - 0xDC00:02x}"
    return one.encode("unicode_escape").decode("ascii")
