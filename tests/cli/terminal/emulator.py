"""A terminal as a program meets one: a real pseudo-terminal, and what would stand on its screen.

As much of a VT100 as is written to it: text with wrapping, CR, LF, cursor up and home, erasing, colours (counted). What
scrolls out at the top is kept. When it is resized, lines that are too long are cut, as xterm does.
"""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence

from tests.conftest import ROOT

SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


def _as_in_a_shell() -> None:
    """In the new process: the terminal is its own, and Ctrl+C reaches it, also where tests run in the background."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Grid:
    """Rows of characters, and a cursor."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.height = columns, rows
        self.rows = [""] * rows
        self.scrolled: list[str] = []
        self.row = self.column = 0
        self.colours = 0
        """Changes of colour or weight so far."""
        self.beyond: list[str] = []
        """Sequences that no terminal of this kind knows."""
        self._rest = ""

    def feed(self, text: str) -> None:
        text, self._rest = self._rest + text, ""
        place = 0
        while place < len(text):
            one = text[place]
            if one == "\x1b":
                match = SEQUENCE.match(text, place)
                if match is None:
                    if len(text) - place < 16:
                        self._rest = text[place:]
                        return
                    self.beyond.append(text[place : place + 8])
                    place += 1
                    continue
                self._sequence(match[1], match[2])
                place = match.end()
                continue
            place += 1
            if one == "\r":
                self.column = 0
            elif one == "\n":
                self._down()
            else:
                self._put(one)

    def resize(self, columns: int, rows: int) -> None:
        while rows < self.height:
            if self.row < self.height - 1:
                self.rows.pop()
            else:
                self.scrolled.append(self.rows.pop(0))
                self.row -= 1
            self.height -= 1
        self.rows += [""] * (rows - self.height)
        self.columns, self.height = columns, rows
        self.rows = [row[:columns] for row in self.rows]
        self.column = min(self.column, columns - 1)

    @property
    def shown(self) -> list[str]:
        """Without rows that are empty."""
        return [row.rstrip() for row in self.rows if row.strip()]

    @property
    def everything(self) -> list[str]:
        return [row.rstrip() for row in [*self.scrolled, *self.rows] if row.strip()]

    def _put(self, one: str) -> None:
        if self.column >= self.columns:
            self.column = 0
            self._down()
        row = self.rows[self.row].ljust(self.column)
        self.rows[self.row] = row[: self.column] + one + row[self.column + 1 :]
        self.column += 1

    def _down(self) -> None:
        if self.row == self.height - 1:
            self.scrolled.append(self.rows.pop(0))
            self.rows.append("")
        else:
            self.row += 1

    def _sequence(self, numbers: str, letter: str) -> None:
        if letter == "A":
            self.row = max(self.row - int(numbers or 1), 0)
        elif letter == "H" and not numbers:
            self.row = self.column = 0
        elif letter == "K" and numbers == "2":
            self.rows[self.row] = ""
        elif letter == "J" and not numbers:
            self.rows[self.row] = self.rows[self.row][: self.column]
            self.rows[self.row + 1 :] = [""] * (self.height - self.row - 1)
        elif letter == "m":
            self.colours += 1
        else:
            self.beyond.append(f"{numbers}{letter}")


class Terminal:
    """A program of ours in a terminal of its own that controls it; standard error goes there too, or to `error`."""

    def __init__(
        self,
        *arguments: str,
        columns: int = 100,
        rows: int = 30,
        environment: Mapping[str, str] | None = None,
        error: int | None = None,
        before: Sequence[str] = (),
    ) -> None:
        """`before`: a program that runs it."""
        self.grid = Grid(columns, rows)
        self.raw = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.master, slave = pty.openpty()
        self._set_size(columns, rows)
        self.process = subprocess.Popen(
            [*before, sys.executable, "-m", "asit_edge", *arguments],
            cwd=ROOT,
            stdin=slave,
            stdout=slave,
            stderr=slave if error is None else error,
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **(environment or {})},
            start_new_session=True,
            preexec_fn=_as_in_a_shell,
        )
        os.close(slave)

    def read(self, seconds: float) -> None:
        """What comes within that time is shown."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.master], [], [], left)[0]:
                return
            try:
                content = os.read(self.master, 1 << 16)
            except OSError:  # everybody on the other side has closed it
                return
            if not content:
                return
            self.raw += content
            self.grid.feed(self._decoder.decode(content))

    def until(self, shows: Callable[[Grid], object], seconds: float = 60) -> None:
        """Raises AssertionError with the screen if it never does."""
        deadline = time.monotonic() + seconds
        while not shows(self.grid):
            ended = self.process.poll() is not None
            self.read(0.1)
            if shows(self.grid):
                return
            assert time.monotonic() < deadline, "\n".join(self.grid.everything)
            assert not ended, "\n".join(self.grid.everything)

    def resize(self, columns: int, rows: int) -> None:
        """The kernel tells the program (SIGWINCH)."""
        self.read(0.05)
        self.grid.resize(columns, rows)
        self._set_size(columns, rows)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def end(self, seconds: float = 30) -> int:
        """Reads on until the program has ended."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            self.read(0.1)
            assert time.monotonic() < deadline, "\n".join(self.grid.everything)
        self.read(0.3)
        return self.process.returncode

    def close(self) -> None:
        """The window is closed."""
        if self.master >= 0:
            os.close(self.master)
            self.master = -1

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
