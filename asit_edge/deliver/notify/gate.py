"""Which events are worth a notification now. What is decided about an event holds for all of it.

All is kept in memory: a new run knows nothing of the last one's notifications.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from asit_edge.audio.clock import steady
from asit_edge.config.notifications import Notification
from asit_edge.detect.quiet_hours import holds
from asit_edge.messages.event import Event

REMEMBERED = 1_000
"""Events of which it is known what was decided."""

STEP = 30.0
"""Seconds by which the system's clock must have jumped for it to count."""


def quiet(settings: Notification, event: Event, epoch: float) -> str | None:
    """The quiet hours in which an event is not told at `epoch`, seconds since 1970, in words; None if it is."""
    if settings.priority_of(event.label) == "urgent":
        return None
    for entry in settings.quiet_hours:
        if entry.labels is not None and event.label not in entry.labels:
            continue
        if (entry.sources is None or event.source in entry.sources) and holds(entry, epoch):
            return f"quiet hours until {entry.end}"
    return None


class _Steps:
    """How old something is, though the system's clock is set right meanwhile: by that, no alarm becomes too old.

    After a power cut many machines begin with a time of hours ago, or of 1970, until the network is there.
    """

    def __init__(self, wall: float, steady: float) -> None:
        self._offset = wall - steady
        self._found: deque[tuple[float, float]] = deque(maxlen=10)
        """Of steps forward: what was noted before this time was noted by the clock before; seconds."""

    def age(self, noted: float, wall: float, steady: float) -> float:
        """Seconds since `noted`, a time of the system's clock; `wall` and `steady` are now. To be asked often."""
        step = wall - steady - self._offset
        if abs(step) > STEP:
            self._offset += step
            if step > 0:
                self._found.append((wall - step / 2, step))
        return wall - noted - sum(step for before, step in self._found if noted < before)


class Gate:
    """Of one sink."""

    def __init__(
        self, settings: Notification, wall: Callable[[], float] = time.time, since: Callable[[], float] = steady
    ) -> None:
        """`wall` is the system's time in seconds since 1970, `since` a clock in seconds that never steps."""
        self._settings, self._wall, self._since = settings, wall, since
        self._decided: OrderedDict[str, bool] = OrderedDict()
        """An event's id to whether it was told."""
        self._last: dict[tuple[str, str], float] = {}
        """Label and source to when something of both was told, by the steady clock."""
        self._steps = _Steps(wall(), since())

    def holds_back(self, event: Event) -> str | None:
        """Why a message about an event is not to be told; None if it is. To be asked before every attempt."""
        if (late := self._late(event)) is not None:
            return late
        told = self._decided.get(event.id)
        if told:
            return None if event.type in self._settings.types else "was told already"
        if told is False:
            return "the event was held back before"
        reason = quiet(self._settings, event, self._wall()) or self._cooling(event)
        if reason is not None:
            self._decide(event, False)
        return reason

    def told(self, event: Event) -> None:
        """It has reached its readers."""
        if not self._decided.get(event.id):
            self._last[event.label, event.source] = self._since()
        self._decide(event, True)

    def _decide(self, event: Event, told: bool) -> None:
        self._decided[event.id] = told
        self._decided.move_to_end(event.id)
        if len(self._decided) > REMEMBERED:
            self._decided.popitem(last=False)

    def _late(self, event: Event) -> str | None:
        waited = self._steps.age(event.onset_epoch + event.latency_ms / 1000, self._wall(), self._since())
        return f"it is {waited:.0f} s old" if waited > self._settings.late_after else None

    def _cooling(self, event: Event) -> str | None:
        last = self._last.get((event.label, event.source))
        if last is None or self._since() - last >= self._settings.cooldown:
            return None
        return f"another {event.label!r} was told {self._since() - last:.0f} s ago"
