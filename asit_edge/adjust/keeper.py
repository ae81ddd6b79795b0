"""Keeps what is adjusted across restarts, and takes up what the command line has changed meanwhile.

In a thread of its own, so that a disk that hangs holds up nothing.
"""

import logging
import threading
import time

from asit_edge.adjust.adjustments import NOTHING
from asit_edge.adjust.file import AdjustmentsFile
from asit_edge.adjust.in_force import InForce, after
from asit_edge.errors import AsitEdgeError

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5
"""Seconds between looks at the file."""

RETRY = 5.0
"""Seconds between attempts to write a file that could not be written."""


class Keeper:
    """Of one listener."""

    def __init__(self, file: AdjustmentsFile) -> None:
        """Reads what is adjusted; a file that cannot be used is named and changes nothing."""
        self._file = file
        self._stamp = file.stamp()
        self._stopping = threading.Event()
        self._failed_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="adjustments", daemon=True)
        try:
            kept = file.read()
        except AsitEdgeError as error:
            kept = NOTHING
            log.warning("%s; nothing is adjusted: repair it, or begin anew with asit-edge set reset", error)
        self.in_force = InForce(kept)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """What was commanded is written, within so many seconds."""
        self._stopping.set()
        self.in_force.asked.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        if self.in_force.waiting():
            log.error("%s: what was adjusted last could not be written, and is forgotten", self._file.path)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            self.in_force.asked.wait(LOOK_EVERY)
            self.in_force.asked.clear()
            stopping = self._stopping.is_set()
            self._look(at_once=stopping)

    def _look(self, *, at_once: bool = False) -> None:
        requests = self.in_force.waiting()
        resting = self._failed_at is not None and time.monotonic() < self._failed_at + RETRY
        if requests and (at_once or not resting):
            self._write()
        elif (stamp := self._file.stamp()) != self._stamp:
            self._stamp = stamp  # of what is read now, or else looked at again
            try:
                self.in_force.settle((), self._file.read())
                log.info("%s has changed: what it says holds now", self._file.path)
            except AsitEdgeError as error:
                log.warning("%s; what was adjusted before holds", error)

    def _write(self) -> None:
        requests = self.in_force.waiting()
        try:
            written = self._file.change(lambda before: after(requests, before), self.in_force.adjustments)
        except AsitEdgeError as error:
            if self._failed_at is None:
                log.error("%s; what is adjusted now is forgotten at the next start unless it can be written", error)
            self._failed_at = time.monotonic()
            return
        if self._failed_at is not None:
            log.info("%s: can be written again", self._file.path)
        self._failed_at, self._stamp = None, written.stamp
        self.in_force.settle(requests, written.adjustments)
