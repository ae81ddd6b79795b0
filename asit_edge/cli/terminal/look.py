"""What a terminal can do: move its cursor, show colours and blocks; and how large it is at the moment."""

import locale
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

ANY_SIZE = os.terminal_size((80, 24))
"""Taken where a terminal does not say how large it is, as a serial console does not."""


@dataclass(frozen=True)
class Look:
    """Of the terminal behind a descriptor, or of a file."""

    moves: bool
    """Whether what stands there can be written over."""
    colours: bool
    """Whether it takes colours and bold letters, as far as NO_COLOR allows them."""
    encoding: str

    @property
    def blocks(self) -> bool:
        """Whether bars can be drawn with block characters."""
        return self.encoding.replace("-", "").casefold() == "utf8"


def look_at(stream: TextIO | None, environment: Mapping[str, str] = os.environ) -> Look:
    """What a stream can do, by what it is and what the environment says of it."""
    terminal = is_terminal(stream)
    able = terminal and environment.get("TERM", "") not in ("", "dumb", "unknown")
    return Look(able, able, locale.nl_langinfo(locale.CODESET) if terminal else "utf-8")


def is_terminal(stream: TextIO | None) -> bool:
    """False also of a stream that is closed, or that this process was started without."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def size_of(descriptor: int) -> os.terminal_size:
    """Columns and lines now. Raises OSError where the terminal is gone."""
    size = os.get_terminal_size(descriptor)
    return size if size.columns > 0 and size.lines > 0 else ANY_SIZE


def in_foreground(descriptor: int) -> bool:
    """False for a job that was put into the background: the lines at the cursor are the shell's then."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:  # a terminal that does not control this process, such as one that a test holds
        return True
