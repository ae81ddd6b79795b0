"""One sound that several sources of a room hear is one event: the source that hears it first reports it.

Pure: changes of the sources' trackers go in, with times on one clock; what is to be reported comes out. A sound joins
the event of its label in its room while that is open, or if both began at nearly the same moment. The event ends when
the last source has stopped hearing it. What goes on much longer than the event that it belonged to is reported as its
own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from asit_edge.detect.tracker import Change, Kind


class SourceChange(NamedTuple):
    """A change of an event of a source; `onset` and `until` (its offset, or what was decided on) in epoch seconds."""

    source: str
    change: Change
    onset: float
    until: float


@dataclass
class _Shared:
    """An event of a room."""

    reporter: str
    first: int
    """The onset by which the reporter knows it."""
    onset: float
    until: float = 0.0
    active: set[str] = field(default_factory=set)
    took_part: set[str] = field(default_factory=set)
    held: SourceChange | None = None
    """The reporter's end, while others still hear the sound."""


class Fusion:
    """The events that are shared. `within` is in seconds, `rate` is the positions'."""

    def __init__(self, rooms: Sequence[Sequence[str]], within: float, rate: int) -> None:
        self._room = {source: room for room, sources in enumerate(rooms) for source in sources}
        self._within = within
        self._rate = rate
        self._shared: dict[tuple[int, int], _Shared] = {}
        self._late: dict[tuple[str, int], tuple[SourceChange, float]] = {}
        """Sounds that belong to an event that had ended, with the end of that: nothing of them has been reported."""

    def take(self, heard: SourceChange) -> list[SourceChange]:
        """What is to be reported because of this change, in order."""
        room = self._room.get(heard.source)
        if room is None:
            return [heard]
        key = (room, heard.change.label)
        shared = self._shared.get(key)
        kind = heard.change.kind
        if kind is Kind.NEW:
            return self._begin(key, shared, heard)
        if (heard.source, heard.change.label) in self._late:
            return self._go_on_late(key, heard)
        if shared is None:
            return []
        if kind is Kind.UPDATE:
            return [heard] if self._is_reporters(shared, heard) and shared.held is None else []
        return self._end(shared, heard)

    def _is_reporters(self, shared: _Shared, heard: SourceChange) -> bool:
        return heard.source == shared.reporter and heard.change.onset == shared.first

    def _begin(self, key: tuple[int, int], shared: _Shared | None, heard: SourceChange) -> list[SourceChange]:
        if shared is not None:
            goes_on = heard.change.continues is not None and heard.source == shared.reporter
            if shared.active and not goes_on:
                shared.active.add(heard.source)
                shared.took_part.add(heard.source)
                return []
            if goes_on and shared.held is not None:  # too long: its end is reported now, others stay with what follows
                others, held = shared.active, shared.held
                self._shared[key] = self._new(heard, others)
                return [held, heard]
            same = abs(heard.onset - shared.onset) <= self._within
            if not shared.active and same and heard.source not in shared.took_part:
                shared.took_part.add(heard.source)
                self._late[heard.source, heard.change.label] = heard, shared.until
                return []
        self._shared[key] = self._new(heard, set())
        return [heard]

    def _new(self, heard: SourceChange, others: set[str]) -> _Shared:
        everyone = others | {heard.source}
        return _Shared(heard.source, heard.change.onset, heard.onset, active=everyone, took_part=set(everyone))

    def _go_on_late(self, key: tuple[int, int], heard: SourceChange) -> list[SourceChange]:
        mark = heard.source, heard.change.label
        begin, until = self._late[mark]
        over = heard.change.kind is Kind.END
        reported = heard.until > until + self._within
        if over or reported:
            del self._late[mark]
        if not reported:
            return []
        shared = self._shared.get(key)
        if not over and shared is not None and shared.active:  # another event of the room has begun: it joins that
            shared.active.add(heard.source)
            shared.took_part.add(heard.source)
            return []
        if not over:
            self._shared[key] = self._new(begin, set())
        return [begin, heard]

    def _end(self, shared: _Shared, heard: SourceChange) -> list[SourceChange]:
        if heard.source not in shared.active:
            return []
        shared.active.discard(heard.source)
        shared.until = max(shared.until, heard.until)
        if self._is_reporters(shared, heard):
            shared.held = heard
        if shared.active or shared.held is None:
            return []
        held, shared.held = shared.held, None
        later = round((shared.until - held.until) * self._rate)
        if later > 0:
            change = held.change
            offset = (change.offset or 0) + later
            held = held._replace(change=replace(change, offset=offset, decided=max(change.decided, offset)))
        return [held]
