"""What is adjusted at the moment: what the file has, and after it what was commanded and is not in the file yet.

The listening thread commands and looks; another one (`Keeper`) writes and reads the file. Neither waits for the other.
Snoozes end by a clock that does not step: the system's only says how much of one is left when it is met first.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from asit_edge.adjust.adjustments import NOTHING, Adjustments, Snooze, obeyed, woken
from asit_edge.errors import one_line
from asit_edge.mqtt.commands import Command

log = logging.getLogger(__name__)


class Request(NamedTuple):
    """A change that was asked for. A later one with the same key takes its place: it undoes all that this one does."""

    key: tuple[str, ...]
    change: Callable[[Adjustments], Adjustments]


def after(requests: Iterable[Request], before: Adjustments) -> Adjustments:
    """With all of them, in order."""
    for request in requests:
        before = request.change(before)
    return before


class InForce:
    """Of one listener."""

    def __init__(self, kept: Adjustments = NOTHING) -> None:
        self.asked = threading.Event()
        """Set when there is something to be written."""
        self._lock = threading.Lock()
        self._now = kept
        self._requests: dict[tuple[str, ...], Request] = {}
        self._told: Adjustments | None = None
        self._ends: dict[tuple[str, str | None], tuple[Snooze, float]] = {}
        """Of every snooze: when it is over, in seconds of the steady clock."""

    @property
    def adjustments(self) -> Adjustments:
        return self._now

    # In the listening thread.

    def obey(self, command: Command, wall: float) -> None:
        """From now on; a command with a value that cannot be is logged and changes nothing."""
        try:
            obeyed(NOTHING, command, wall)
        except (ValueError, TypeError) as error:
            log.error("%s: command %s %r cannot be obeyed (%s)", *command[:2], command.value, one_line(error))
            return
        key = (command.name, command.source, command.label or "")
        self._ask(Request(key, lambda before: obeyed(before, command, wall)))

    def tend(self, steady: float, wall: float) -> bool:
        """Ends what is over. True if something is adjusted otherwise than at the last call, and at the first."""
        for place, snooze in self._now.snoozes().items():
            known, end = self._ends.get(place, (None, 0.0))
            if known != snooze:
                end = steady + snooze.left(wall)
                self._ends[place] = snooze, end
            if steady >= end:
                self._wake(*place, snooze)
        now = self._now
        self._ends = {place: one for place, one in self._ends.items() if place in now.snoozes()}
        changed, self._told = now != self._told, now
        return changed

    def _wake(self, source: str, label: str | None, snooze: Snooze) -> None:
        log.info("%s: snoozed no more", f"{source}, {label}" if label else source)
        self._ask(Request(("wake", source, label or ""), lambda before: woken(before, source, label, snooze)))

    def _ask(self, request: Request) -> None:
        with self._lock:
            self._requests.pop(request.key, None)
            self._requests[request.key] = request
            self._now = request.change(self._now)
        self.asked.set()

    # In the keeper's.

    def waiting(self) -> list[Request]:
        """What is not in the file yet."""
        with self._lock:
            return list(self._requests.values())

    def settle(self, written: Iterable[Request], kept: Adjustments) -> None:
        """The file has these now, and what somebody else has changed."""
        with self._lock:
            for request in written:
                if self._requests.get(request.key) is request:
                    del self._requests[request.key]
            self._now = after(self._requests.values(), kept)
