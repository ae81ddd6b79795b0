"""Numbers of events (`seq`): counted, and none is ever given twice, whatever becomes of the disk.

A number that stands in the store is safe there. One that was given although the disk took nothing is noted in the file
that locks the store, in place, so that it takes no room on a full disk. Where that fails too, or the store could not be
read, numbers go on from the clock, in milliseconds, which are far beyond any count.
"""

import contextlib
import os
import secrets
import time
from pathlib import Path

DIGITS = 16

EARLIEST = 1_600_000_000_000
"""Milliseconds of a clock that may be right; below, numbers are drawn from what no clock has given."""


class Numbers:
    """Of one store."""

    def __init__(self, note: Path | None) -> None:
        """`note` is the file that keeps a number, None for a store in memory."""
        self._note = note
        self.last = 0
        """The last that was given, as far as is known."""

    def go_on(self, last: int) -> None:
        """The store is there; its last number was this one."""
        noted = self._noted()
        self.last = max(self.last, last, noted or 0)
        if noted is None:
            self.keep()  # while there is room for it

    def jump(self) -> None:
        """What was given before is not known, or cannot be kept: what follows was never given."""
        now = int(time.time() * 1000)
        beyond = now if now >= EARLIEST else EARLIEST // 2 + secrets.randbelow(EARLIEST // 2)
        self.last = max(self.last, beyond)

    def keep(self) -> bool:
        """Notes the last number for the next run; False if that is not possible."""
        if self._note is None:
            return True
        with contextlib.suppress(OSError):
            self._put(self.last)
            return True
        return False

    def _put(self, number: int) -> None:
        assert self._note is not None
        descriptor = os.open(self._note, os.O_WRONLY)
        try:
            if os.pwrite(descriptor, f"{number:0{DIGITS}}\n".encode(), 0) != DIGITS + 1:
                raise OSError("half a number")
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def _noted(self) -> int | None:
        if self._note is None:
            return None
        with contextlib.suppress(OSError, ValueError):
            return int(self._note.read_bytes()[: DIGITS + 1])
        return None
