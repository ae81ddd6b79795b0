"""Between the loop and the store: what is announced waits here for a disk that is slow, and the loop does not.

So audio never waits because a disk does, and what waits is never taken for a model that cannot keep up.
"""

import queue
from collections.abc import Callable, Mapping

from asit_edge.host.errands import Errands
from asit_edge.listen.announcer import Announcer, Notes
from asit_edge.listen.reporter import Output
from asit_edge.messages.event import Event
from asit_edge.messages.report import Adjusted, Gap, Level, Status
from asit_edge.model.bundle import Manifest
from asit_edge.mqtt.commands import Command

MOST = 10_000
"""Announcements that wait for the disk at most."""


class UnhurriedAnnouncer:
    """An announcer that hands on to another, in order, in a thread of its own. It writes to `out` what that returns."""

    def __init__(self, announcer: Announcer, out: Output) -> None:
        self._announcer, self._out = announcer, out
        self._errands = Errands("announcements", MOST, "the disk of the event store hangs")
        self._gone: BrokenPipeError | None = None
        self.commands: queue.SimpleQueue[Command] = announcer.commands

    @property
    def dropped(self) -> int:
        """Announcements that were given up since the start."""
        return self._errands.dropped

    def events(self, source: str, events: list[Event]) -> list[Event]:
        """Returns nothing: they are known, and written to `out`, once the store has them."""
        if events:
            self._errands.do(lambda: self._announce(source, events))
        return []

    def status(self, status: Status) -> None:
        self._errands.do(lambda: self._announcer.status(status))

    def level(self, level: Level) -> None:
        self._announcer.level(level)  # waits for nothing, and is worth nothing later

    def gap(self, gap: Gap) -> None:
        self._errands.do(lambda: self._announcer.gap(gap))

    def know(self, manifest: Manifest) -> None:
        self._errands.do(lambda: self._announcer.know(manifest))

    def threshold(self, source: str, label: str, on: float) -> None:
        self._errands.do(lambda: self._announcer.threshold(source, label, on))

    def adjusted(self, adjusted: Adjusted) -> None:
        self._errands.do(lambda: self._announcer.adjusted(adjusted))

    def then(self, do: Callable[[], object]) -> None:
        """Does this once all that was announced so far has been handed on."""
        self._errands.do(do)

    def stop(self, seconds: float) -> None:
        """What waits is announced, within so many seconds."""
        self._errands.stop(seconds)

    def _announce(self, source: str, events: list[Event]) -> None:
        for event in self._announcer.events(source, events):
            try:
                print(event.to_json(), file=self._out, flush=True)
            except BrokenPipeError as error:
                self._gone = error

    def check(self) -> None:
        """Raises BrokenPipeError, once, if whoever read `out` has gone away."""
        error, self._gone = self._gone, None
        if error is not None:
            raise error


class UnhurriedNotes:
    """Notes that are written in a thread of their own."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._errands = Errands("notes of what was heard", 2, "the disk hangs")

    @property
    def dropped(self) -> int:
        """Notes that were given up since the start."""
        return self._errands.dropped

    def last(self, source: str) -> float | None:
        return self._notes.last(source)

    def note(self, times: Mapping[str, float]) -> None:
        self._errands.do(lambda: self._notes.note(times))

    def stop(self, seconds: float) -> None:
        self._errands.stop(seconds)
