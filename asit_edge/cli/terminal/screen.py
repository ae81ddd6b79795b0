"""The only writer to a terminal while something is live there: lines that stay, and a foot under them that changes.

A thread of its own paints. Whoever has a line leaves it here, so that a terminal that hangs holds up nobody; the foot
is asked for when there is time to paint it. A terminal that was resized, or that somebody else has written to, is begun
anew: what stood there is scrolled away, never wiped, and the newest lines are written once more, for its new width.
"""

import errno
import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from rich.text import Text

from asit_edge.cli.terminal.ink import Ink
from asit_edge.cli.terminal.look import in_foreground, size_of
from asit_edge.errors import readable

log = logging.getLogger(__name__)

Line = Callable[[int], Text]
"""A line for a terminal of so many columns."""

Foot = Callable[[int, int], Sequence[Text]]
"""The foot for so many columns, of at most so many lines."""

EVERY = 0.125
"""Seconds between pictures."""

AT_ONCE = 0.03
"""Seconds between pictures at least, however much there is to tell."""

SETTLED = 0.25
"""Seconds for which a terminal keeps its size before it is painted again: a window that is dragged has many."""

MOST = 1_000
"""Lines that wait for the terminal at most."""

HELD_UP = 0.5
"""Seconds that a picture that is being painted gets, before somebody else has the terminal."""

KEPT = 200
"""Lines that can be written once more."""

BEGIN_LINE, ERASE_BELOW, HOME = "\r\x1b[2K", "\x1b[J", "\x1b[H"


class Screen:
    """Takes lines, and text like a file does. For any thread."""

    def __init__(self, descriptor: int, ink: Ink, foot: Foot, *, patient: bool = False) -> None:
        """`patient`: whoever has a line waits until there is room for it; else the oldest that waits is dropped."""
        self.dropped = 0
        """Lines that were given up since the start."""
        self._descriptor, self._ink, self._foot, self._patient = descriptor, ink, foot, patient
        self._waiting: deque[Line] = deque()
        self._kept: deque[Line] = deque(maxlen=KEPT)
        self._rest = ""
        self._changed = threading.Condition()
        self._painting = threading.Lock()
        self._closing = self._closed = self._gone = self._disturbed = False
        self._rows = 0
        self._last: list[str] = []
        self._size: os.terminal_size | None = None
        self._sizes: tuple[os.terminal_size | None, float] = None, 0.0
        threading.Thread(target=self._run, name="terminal", daemon=True).start()

    def put(self, line: Line) -> None:
        """It will stay on the terminal, above the foot."""
        with self._changed:
            if self._patient:
                self._changed.wait_for(lambda: len(self._waiting) < MOST or self._gone)
            if len(self._waiting) >= MOST:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(line)
            self._changed.notify_all()

    def write(self, text: str) -> int:
        """Whole lines are put."""
        with self._changed:
            *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            shown = readable(line.rstrip("\r"))
            self.put(lambda width, shown=shown: Text(shown))  # type: ignore[misc]
        return len(text)

    def flush(self) -> None:
        """Nothing: it goes as soon as it can."""

    def disturbed(self) -> None:
        """Somebody else has written to the terminal: it is begun anew."""
        self._disturbed = True

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Meanwhile the terminal is somebody else's: the foot is away, and nothing is painted."""
        held = self._painting.acquire(timeout=HELD_UP)  # not for ever: the terminal may hang
        try:
            if held and not self._closed and select.select([], [self._descriptor], [], 0)[1]:
                with suppress(OSError):
                    self._write(self._ink.encode(f"{self._over()}{ERASE_BELOW}"))
                self._rows, self._last = 0, []
            yield
            self.disturbed()
        finally:
            if held:
                self._painting.release()

    def close(self, seconds: float, last: Line | None = None) -> bool:
        """Takes the foot away once every line is written, and then the last, within so many seconds. False if the
        terminal hangs."""
        with self._changed:
            if last is not None:
                self._waiting.append(last)
            self._closing = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._closed, seconds) and not self._gone

    def _run(self) -> None:
        try:
            self._paint_until_closed()
            self._end(gone=False)
        except OSError as error:
            self._end(gone=True)
            if error.errno != errno.EIO:  # what it says when it has been closed; the signal for that comes, too
                log.error("the terminal cannot be written (%s); nothing more is shown", error.strerror)
        except Exception:
            self._end(gone=True)
            log.exception("the picture of the terminal failed; nothing more is shown")

    def _end(self, *, gone: bool) -> None:
        """Nobody waits for the picture any more: before the log is written, which may be to this screen."""
        with self._changed:
            self._gone, self._closed = gone, True
            self._changed.notify_all()

    def _paint_until_closed(self) -> None:
        closing = False
        while not closing:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing, EVERY)
                lines, closing = list(self._waiting), self._closing
                self._waiting.clear()
                self._changed.notify_all()
            with self._painting:
                self._paint(lines, last=closing)
            time.sleep(0 if closing else AT_ONCE)

    def _paint(self, lines: list[Line], *, last: bool) -> None:
        size = size_of(self._descriptor)
        if not last and not self._settled(size):
            with self._changed:
                self._waiting.extendleft(reversed(lines))
            return
        front = in_foreground(self._descriptor)
        width, height = size.columns - 1, size.lines
        foot = [] if last or not front else list(self._foot(width, height - 1))[: max(height - 1, 0)]
        shown = [self._ink.render(text, width) for text in foot]
        if not front:
            self._rows, self._disturbed = 0, True
        anew = front and (self._disturbed or (self._size is not None and size != self._size))
        self._size = size
        if not anew and not lines and shown == self._last:
            return
        start = self._anew(size, len(shown)) if anew else self._over()
        new = [f"{BEGIN_LINE}{one}\r\n" for line in lines for one in self._as_rows(line, width)]
        self._kept.extend(lines)
        body = "\r\n".join(f"{BEGIN_LINE}{one}" for one in shown)
        self._rows, self._last, self._disturbed = len(shown), shown, self._disturbed and not front
        self._write(self._ink.encode("".join([start, *new, body, ERASE_BELOW if front else ""])))

    def _settled(self, size: os.terminal_size) -> bool:
        """Whether it has been so large for a while; at first, and where it has not changed, at once."""
        now = time.monotonic()
        if self._sizes[0] != size:
            self._sizes = size, now if self._size else 0.0
        return size == self._size or now - self._sizes[1] >= SETTLED

    def _over(self) -> str:
        """To where the foot begins."""
        return f"\r\x1b[{self._rows - 1}A" if self._rows > 1 else "\r"

    def _anew(self, size: os.terminal_size, rows: int) -> str:
        """An empty terminal, and on it as many of the newest lines as there is room for."""
        before: list[str] = []
        for line in reversed(self._kept):
            more = self._as_rows(line, size.columns - 1)
            if len(before) + len(more) > size.lines - rows - 1:
                break
            before = [*more, *before]
        return "\r\n" * size.lines + HOME + ERASE_BELOW + "".join(f"{one}\r\n" for one in before)

    def _as_rows(self, line: Line, width: int) -> list[str]:
        """A message may be longer than the terminal is wide: it goes on in the next row."""
        text = line(width)
        if text.cell_len <= width:
            return [self._ink.render(text, width)]
        return [self._ink.render(one, width) for one in self._ink.wrap(text, width)]

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # somebody who shares the terminal does not want to wait
                select.select([], [self._descriptor], [], 1.0)
