"""Lines to a descriptor whose reader may hang: whoever writes here never waits.

A pipe that nobody reads is full after 64 KB, and then a write does not return. So lines wait in a bounded queue, a
thread of its own writes them, and what does not fit is dropped, counted, and said.
"""

import errno
import logging
import os
import threading
import time
from collections import deque

log = logging.getLogger(__name__)

MOST = 1_000
"""Lines that wait for a reader at most."""


class Lines:
    """Takes text like a file does, a line at a time. For any thread."""

    def __init__(self, descriptor: int, name: str, *, telling: bool = True) -> None:
        """`name` is what users call it. `telling`: what is dropped is logged; not where the log itself goes."""
        self.dropped = 0
        """Lines that were given up since the start."""
        self._descriptor, self._name, self._telling = descriptor, name, telling
        self._rest = ""
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._busy = self._closing = self._told = self._dropping = False
        self._error: OSError | None = None
        threading.Thread(target=self._run, name=f"lines-{name}", daemon=True).start()

    def write(self, text: str) -> int:
        """Raises BrokenPipeError, once, when the reader has gone away."""
        with self._changed:
            before = self.dropped
            dropping = self._dropping and bool(self._waiting)  # said once, until whoever reads has caught up
            *lines, self._rest = (self._rest + text).split("\n")
            for line in lines:
                if len(self._waiting) < MOST and self._error is None:
                    self._waiting.append(f"{line}\n".encode("utf-8", "replace"))
                else:
                    self.dropped += 1
            self._dropping = dropping or (bool(self._waiting) and self.dropped > before)
            gone = isinstance(self._error, BrokenPipeError) and not self._told
            self._told = self._told or gone
            self._changed.notify_all()
        if self._dropping and not dropping and self._telling:
            log.warning("%s: nobody reads it any more; what does not fit is dropped there", self._name)
        if gone:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        return len(text)

    def flush(self) -> None:
        """Nothing: it goes as soon as it can."""

    def close(self, seconds: float) -> bool:
        """Waits until everything is written, at most so long; says what was dropped. False if something was."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while (self._waiting or self._busy) and time.monotonic() < deadline:
                self._changed.wait(deadline - time.monotonic())
            self._closing = True
            self.dropped += len(self._waiting) + self._busy
            self._waiting.clear()
            self._changed.notify_all()
        if self.dropped and self._telling and not isinstance(self._error, BrokenPipeError):
            log.warning("%s: %d line(s) were dropped", self._name, self.dropped)
        return not self.dropped

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                line, self._busy = self._waiting.popleft(), True
            self._put(line)

    def _put(self, line: bytes) -> None:
        try:
            # Past Python's own buffer, whose lock would keep the process from ending while this hangs.
            while line:
                line = line[os.write(self._descriptor, line) :]
        except OSError as error:
            with self._changed:
                first, self._error = self._error is None, error
                self.dropped += 1 + len(self._waiting)
                self._waiting.clear()
            if first and self._telling and not isinstance(error, BrokenPipeError):
                log.error("%s: cannot be written (%s); nothing more is", self._name, error.strerror)
