"""Changes that are not on disk yet: noted first, then written in one transaction, and bounded while that fails."""

import sqlite3
from collections.abc import Set

from asit_edge.messages.event import Event
from asit_edge.store.rows import Outgoing, Refusal

HELD = 1_000
"""Events, and messages, that are kept in memory while the disk takes nothing."""


class Notes:
    """What is to be inserted into the store's tables, and deleted from them."""

    def __init__(self) -> None:
        self.events: dict[int, Event] = {}
        """By `seq`."""
        self.retained: list[str] | None = None
        """All topics on which the broker keeps something; None if they have not changed."""
        self.gone: set[int] = set()
        """Rows of the outbox that are still on disk and must no longer be."""
        self._outgoing: dict[int, tuple[str, Outgoing]] = {}
        self._refused: list[tuple[str, str, str, str, float]] = []

    def __bool__(self) -> bool:
        return self.news or bool(self.gone) or self.retained is not None

    @property
    def news(self) -> bool:
        """There is something that a power cut must not undo; a deletion that it undoes is only a repetition."""
        return bool(self.events or self._outgoing or self._refused)

    @property
    def growth(self) -> int:
        """By how many rows the larger table will grow."""
        return max(len(self.events), len(self._outgoing))

    @property
    def waiting_count(self) -> int:
        """Messages, of all sinks, that are not on disk."""
        return len(self._outgoing)

    @property
    def refused_count(self) -> int:
        return len(self._refused)

    def enqueue(self, sink: str, outgoing: Outgoing) -> None:
        self._outgoing[outgoing.row] = (sink, outgoing)

    def waiting(self, sink: str | None, after: int, up_to: int) -> list[Outgoing]:
        """Of one sink, or of all (None), behind row `after` and up to row `up_to`."""
        return [
            outgoing
            for row, (owner, outgoing) in self._outgoing.items()
            if sink in (None, owner) and after < row <= up_to
        ]

    def find(self, row: int) -> list[tuple[str, str, str]]:
        """Sink, topic and payload of a message; nothing if it is on disk."""
        if row not in self._outgoing:
            return []
        sink, outgoing = self._outgoing[row]
        return [(sink, outgoing.topic, outgoing.payload)]

    def forget(self, row: int) -> None:
        """A sink has taken this message, or never will."""
        if self._outgoing.pop(row, None) is None:
            self.gone.add(row)

    def refuse(self, sink: str, topic: str, payload: str, reason: str, now: float) -> None:
        """`now` in seconds since the epoch."""
        self._refused.append((sink, topic, payload, reason, now))

    def refusals(self) -> list[Refusal]:
        return [Refusal(sink, topic, reason) for sink, topic, _, reason, _ in self._refused]

    def withdraw(self, events: Set[int], row: int) -> None:
        """Takes back events, by number, and messages behind that row, which nobody has seen."""
        for seq in events:
            self.events.pop(seq, None)
        self._outgoing = {number: owned for number, owned in self._outgoing.items() if number <= row}

    def renumber(self, last: int) -> None:
        """Events noted before the file could be opened follow on its last number, which it may use for another."""
        if self.events and min(self.events) <= last:
            events = enumerate(self.events.values(), last + 1)
            self.events = {seq: event.model_copy(update={"seq": seq}) for seq, event in events}

    def bound(self) -> int:
        """Keeps the newest HELD of each kind; returns how many undelivered messages that cost."""
        dropped = max(len(self._outgoing) - HELD, 0)
        for rows in (self.events, self._outgoing):
            for number in list(rows)[:-HELD]:
                del rows[number]
        del self._refused[:-HELD]
        return dropped

    def write(self, database: sqlite3.Connection) -> None:
        """Brings the tables up to date, within the transaction that is open."""
        database.executemany(
            "INSERT INTO event (seq, id, type, source, label, onset_epoch, payload) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (seq, event.id, event.type, event.source, event.label, event.onset_epoch, event.to_json())
                for seq, event in self.events.items()
            ],
        )
        database.executemany(
            "INSERT INTO outbox (row, sink, topic, payload, queued) VALUES (?, ?, ?, ?, ?)",
            [(row, sink, *outgoing[1:]) for row, (sink, outgoing) in self._outgoing.items()],
        )
        database.executemany("DELETE FROM outbox WHERE row = ?", [(row,) for row in self.gone])
        database.executemany(
            "INSERT INTO dead_letter (sink, topic, payload, reason, refused) VALUES (?, ?, ?, ?, ?)", self._refused
        )
        if self.retained is not None:
            database.execute("DELETE FROM retained")
            database.executemany("INSERT INTO retained (topic) VALUES (?)", [(one,) for one in self.retained])
