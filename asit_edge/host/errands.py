"""Things that may take long, done in order in a thread of their own, so that whoever asks for them never waits."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)


class Errands:
    """A bounded queue: what does not fit is dropped, counted, and said. For any thread."""

    def __init__(self, name: str, most: int, slow: str) -> None:
        """`slow` is what makes it wait, in words for the user."""
        self.dropped = 0
        """Errands that were given up since the start."""
        self._name, self._most, self._slow = name, most, slow
        self._waiting: deque[Callable[[], object]] = deque()
        self._changed = threading.Condition()
        self._busy = self._stopped = self._dropping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Errands that are not done yet."""
        with self._changed:
            return len(self._waiting) + self._busy

    def do(self, errand: Callable[[], object]) -> bool:
        """Soon. False if too many wait already."""
        with self._changed:
            taken = len(self._waiting) < self._most and not self._stopped
            if taken:
                self._waiting.append(errand)
            else:
                self.dropped += 1
            first, self._dropping = not taken and not self._dropping, not taken
            self._changed.notify_all()
        if first:
            log.error("%s: %s; %d wait, what more comes is dropped there", self._name, self._slow, self._most)
        return taken

    def stop(self, seconds: float) -> bool:
        """Waits until all is done, at most so long; says what was dropped. False if something is left undone."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while (self._waiting or self._busy) and time.monotonic() < deadline:
                self._changed.wait(deadline - time.monotonic())
            left = len(self._waiting) + self._busy
            self._stopped = True
            self._waiting.clear()
            self.dropped += left
            self._changed.notify_all()
        if self.dropped:
            log.error("%s: %s; %d dropped", self._name, self._slow, self.dropped)
        return not left

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._stopped)
                if not self._waiting:
                    return
                errand, self._busy = self._waiting.popleft(), True
            try:
                errand()
            except Exception:
                log.exception("%s: failed", self._name)
