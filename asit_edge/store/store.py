"""Events and what is still to be delivered: committed to disk before anyone hears of them, and never blocked by it.

`event` is the history, in the order of `seq`. `outbox` holds one row for every message and sink that has not taken it
yet; a row leaves it when the sink has it, or moves to `dead_letter` with the reason for which it never will.

There is one way to disk. Every change is first noted in memory and then written in one transaction; where that
fails (disk full, read-only, damaged) the notes stay, bounded, and are written when the disk takes them again. Sinks
read notes and disk as one, so that what is heard with a full disk is delivered all the same.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from asit_edge.errors import one_line
from asit_edge.messages.event import Event
from asit_edge.messages.report import Gap
from asit_edge.store.bounds import Bounds
from asit_edge.store.database import NotAStore, close_database, highest, is_damage, lease, open_database, salvage

log = logging.getLogger(__name__)

HELD = 1_000
"""Events, and messages, that are kept in memory while the disk takes nothing."""

RETRY_DISK = 5.0
"""Seconds between attempts to write to a disk that failed."""

TIDY_SECONDS = 60.0
"""Between looks at age and size while nothing is written."""

Wants = Callable[[Event | Gap], bool]
"""Whether a sink takes a message at all."""


class Outgoing(NamedTuple):
    """A message on its way; `topic` is relative to the device's. `queued` in seconds since the epoch."""

    row: int
    topic: str
    payload: str
    queued: float


class Refusal(NamedTuple):
    """A message that a sink will never take."""

    sink: str
    topic: str
    reason: str


class _Notes:
    """What is not on disk yet."""

    def __init__(self) -> None:
        self.events: dict[int, Event] = {}
        self.outgoing: dict[int, tuple[str, Outgoing]] = {}
        self.refused: list[tuple[str, str, str, str, float]] = []
        self.gone: set[int] = set()
        self.retained: list[str] | None = None

    def __bool__(self) -> bool:
        return bool(self.events or self.outgoing or self.refused or self.gone or self.retained is not None)


class Store:
    """Open event store; every method may be called from any thread, and none raises because of the disk."""

    def __init__(
        self,
        path: Path | None,
        keep: int = 100_000,
        max_days: float | None = None,
        max_mb: float | None = None,
        *,
        sinks: Mapping[str, Wants] | None = None,
    ) -> None:
        """`path` None keeps everything in memory. `sinks` names who is to get messages, and which.

        Raises NotAStore if the file is not ours to write, or another process writes to it.
        """
        self._path, self._bounds = path, Bounds(keep, max_days, max_mb)
        self._sinks = dict(sinks or {})
        self._lock = threading.RLock()
        self._notes = _Notes()
        self._database: sqlite3.Connection | None = None
        self._failed_at: float | None = None
        self._problem: str | None = None
        self._seq = self._row = 0
        self._lease: IO[bytes] | None = None
        self._closed = False
        self._untidied = 0
        self._tidied_at = time.monotonic()
        self.dropped = 0
        """Messages that were given up undelivered since the start, because of a bound."""
        self.refused = 0
        """Messages that are kept because a sink refused them for good."""
        self._starting = True
        with self._lock:
            if not self._write():
                self._row = max(self._row, int(time.time() * 1000))  # surely behind the rows of a file not seen yet
        self._starting = False

    @property
    def problem(self) -> str | None:
        """Why nothing can be written at the moment, in words for the user."""
        return self._problem

    def commit(self, events: Iterable[Event], topic: str) -> list[Event]:
        """Numbers the events and stores them and their messages in one transaction; returns them as stored."""
        written = []
        with self._lock:
            for event in events:
                self._seq += 1
                numbered = event.model_copy(update={"seq": self._seq})
                self._notes.events[self._seq] = numbered
                self._enqueue(topic, numbered.to_json(), numbered)
                written.append(numbered)
            self._write()
        return written

    def post(self, topic: str, gap: Gap) -> None:
        """Stores and queues a message that is not an event."""
        with self._lock:
            self._enqueue(topic, gap.to_json(), gap)
            self._write()

    def _enqueue(self, topic: str, payload: str, message: Event | Gap) -> None:
        for sink, wants in self._sinks.items():
            if wants(message):
                self._row += 1
                self._notes.outgoing[self._row] = (sink, Outgoing(self._row, topic, payload, time.time()))

    def waiting(self, sink: str, after: int, most: int, up_to: int | None = None) -> list[Outgoing]:
        """The oldest messages of a sink behind row `after` (up to row `up_to`) that it has not taken."""
        with self._lock:
            notes, last = self._notes, up_to if up_to is not None else 1 << 62
            found = [
                outgoing
                for row, (owner, outgoing) in notes.outgoing.items()
                if owner == sink and after < row <= last and row not in notes.gone
            ]
            query = (
                "SELECT row, topic, payload, queued FROM outbox WHERE sink = ? AND row > ? AND row <= ? "
                "ORDER BY row LIMIT ?"
            )
            rows = self._read(query, (sink, after, last, most + len(notes.gone)))
            found += [Outgoing(*row) for row in rows if row[0] not in notes.gone]
            return sorted(found)[:most]

    @property
    def last_row(self) -> int:
        """The row of the newest message."""
        return self._row

    def last_row_before(self, sink: str, epoch: float) -> int:
        """The row of the newest message that has waited since then or longer; 0 if none has."""
        with self._lock:
            held = [
                row
                for row, (owner, outgoing) in self._notes.outgoing.items()
                if owner == sink and outgoing.queued <= epoch
            ]
            query = "SELECT row FROM outbox WHERE sink = ? AND queued <= ? ORDER BY row DESC LIMIT 1"
            found = self._read(query, (sink, epoch))
            return max([0, *held, *(row[0] for row in found)])

    def count_waiting(self, sink: str | None = None, up_to: int | None = None) -> int:
        with self._lock:
            notes, last = self._notes, up_to if up_to is not None else 1 << 62
            held = sum(
                row not in notes.gone and row <= last
                for row, (owner, _) in notes.outgoing.items()
                if sink in (None, owner)
            )
            where = "row <= ?" if sink is None else "row <= ? AND sink = ?"
            parameters = (last,) if sink is None else (last, sink)
            rows = self._read(f"SELECT count(*) FROM outbox WHERE {where}", parameters)
            gone = [row for row in notes.gone if row not in notes.outgoing and row <= last]
            if gone:
                marks = ", ".join("?" * len(gone))
                found = self._read(
                    f"SELECT count(*) FROM outbox WHERE {where} AND row IN ({marks})", (*parameters, *gone)
                )
                return held + (rows[0][0] if rows else 0) - (found[0][0] if found else 0)
            return held + (rows[0][0] if rows else 0)

    def delivered(self, rows: Sequence[int]) -> None:
        """The sink has these."""
        with self._lock:
            self._forget(rows)
            self._write()

    def refuse(self, row: int, reason: str) -> None:
        """The sink will never take this one: it stays for inspection and blocks nothing."""
        with self._lock:
            if row in self._notes.outgoing:
                sink, outgoing = self._notes.outgoing[row]
                found = [(sink, outgoing.topic, outgoing.payload)]
            else:
                found = self._read("SELECT sink, topic, payload FROM outbox WHERE row = ?", (row,))
            self._notes.refused += [(*columns, reason, time.time()) for columns in found]
            self.refused += len(found)
            self._forget([row])
            self._write()

    def _forget(self, rows: Sequence[int]) -> None:
        for row in rows:
            if self._notes.outgoing.pop(row, None) is None:
                self._notes.gone.add(row)

    def refusals(self) -> list[Refusal]:
        """Every message that a sink refused, the oldest first."""
        with self._lock:
            kept = self._read("SELECT sink, topic, reason FROM dead_letter ORDER BY number", ())
            return [Refusal(*row) for row in kept] + [
                Refusal(sink, topic, reason) for sink, topic, _, reason, _ in self._notes.refused
            ]

    def retained(self) -> set[str]:
        """The topics on which the broker keeps something of ours, as noted by `remember_retained`."""
        with self._lock:
            return {row[0] for row in self._read("SELECT topic FROM retained", ())}

    def remember_retained(self, topics: Iterable[str]) -> None:
        with self._lock:
            self._notes.retained = sorted(topics)
            self._write()

    def tend(self) -> None:
        """To be called now and then: writes what could not be written, and drops what is too old or too much."""
        with self._lock:
            self._write(tidy=time.monotonic() > self._tidied_at + TIDY_SECONDS)

    def close(self) -> None:
        with self._lock:
            self._failed_at = None
            if not self._write() and self._notes.outgoing:
                log.error("%d message(s) are lost: %s", len(self._notes.outgoing), self._problem)
            self._closed = True
            if self._database is not None:
                close_database(self._database)
                self._database = None
            if self._lease is not None:
                self._lease.close()
                self._lease = None

    # The disk.

    def _read(self, query: str, parameters: Sequence[object]) -> list[tuple]:  # type: ignore[type-arg]
        """Nothing, where the disk cannot be read."""
        for _ in range(2):
            if self._database is None:
                return []
            try:
                return self._database.execute(query, parameters).fetchall()
            except sqlite3.Error as error:
                self._fail(error)
                if not is_damage(error):
                    return []
                self._write()
        return []

    def _write(self, *, tidy: bool = False) -> bool:
        """Brings the disk up to date. False where that is not possible now; nothing is forgotten then."""
        if self._closed:
            return False
        rests = self._failed_at is not None and time.monotonic() < self._failed_at + RETRY_DISK
        if not rests and (self._attempt(tidy=tidy) or (self._failed_at is None and self._attempt(tidy=tidy))):
            return True
        self._bound_notes()
        return False

    def _attempt(self, *, tidy: bool) -> bool:
        """Opens the file if need be, and writes. After a failure, `_failed_at` is None if it was put right."""
        try:
            if self._database is None:
                self._open()
            self._write_notes(tidy=tidy)
        except NotAStore as error:
            if self._starting:
                raise
            self._fail(error)  # a disk that came back with somebody else's file on it
            return False
        except (OSError, sqlite3.Error) as error:
            self._fail(error)
            return False
        self._failed_at = None
        if self._problem is not None:
            log.warning("the event store %s can be written again; nothing that memory held is missing", self._path)
            self._problem = None
        return True

    def _open(self) -> None:
        if self._path is not None and self._lease is None:
            self._lease = lease(self._path)
        database = open_database(self._path)
        self._database = database
        last_event = highest(database, "event", "seq")
        self._row = max(self._row, highest(database, "outbox", "row"))
        if self._notes.events and min(self._notes.events) <= last_event:
            # Heard before the file could be opened: told under numbers that it knows for others.
            events = enumerate(self._notes.events.values(), last_event + 1)
            self._notes.events = {seq: event.model_copy(update={"seq": seq}) for seq, event in events}
            self._seq = max(self._notes.events)
        self._seq = max(self._seq, last_event)
        self.refused = database.execute("SELECT count(*) FROM dead_letter").fetchone()[0] + len(self._notes.refused)

    def _write_notes(self, *, tidy: bool) -> None:
        assert self._database is not None
        database, notes = self._database, self._notes
        untidied = self._untidied + max(len(notes.events), len(notes.outgoing))
        # After a failure there must be something to write, or else it would count as overcome untried.
        tidy = tidy or untidied >= max(self._bounds.keep // 100, 1) or self._failed_at is not None
        if not (notes or tidy):
            return
        news = bool(notes.events or notes.outgoing or notes.refused)
        # Only news must be on the platter before it is told; a deletion that a power cut undoes is a repetition.
        database.execute(f"PRAGMA synchronous={'FULL' if news else 'NORMAL'}")
        try:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(
                "INSERT INTO event (seq, id, type, source, label, onset_epoch, payload) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (seq, event.id, event.type, event.source, event.label, event.onset_epoch, event.to_json())
                    for seq, event in notes.events.items()
                ],
            )
            database.executemany(
                "INSERT INTO outbox (row, sink, topic, payload, queued) VALUES (?, ?, ?, ?, ?)",
                [(row, sink, *outgoing[1:]) for row, (sink, outgoing) in notes.outgoing.items()],
            )
            database.executemany("DELETE FROM outbox WHERE row = ?", [(row,) for row in notes.gone])
            database.executemany(
                "INSERT INTO dead_letter (sink, topic, payload, reason, refused) VALUES (?, ?, ?, ?, ?)", notes.refused
            )
            if notes.retained is not None:
                database.execute("DELETE FROM retained")
                database.executemany("INSERT INTO retained (topic) VALUES (?)", [(one,) for one in notes.retained])
            dropped = self._bounds.apply(database, time.time()) if tidy else 0
            database.execute("COMMIT")
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")
        self._notes = _Notes()
        self._untidied = 0 if tidy else untidied
        if tidy:
            self._tidied_at = time.monotonic()
        self._report_dropped(dropped, "store.keep, store.max_days or store.max_mb")

    def _bound_notes(self) -> None:
        """The newest count: memory must not grow however long the disk is away."""
        notes = self._notes
        while len(notes.events) > HELD:
            del notes.events[next(iter(notes.events))]
        dropped = len(notes.outgoing) - HELD
        while len(notes.outgoing) > HELD:
            del notes.outgoing[next(iter(notes.outgoing))]
        del notes.refused[:-HELD]
        self._report_dropped(max(dropped, 0), "the disk takes nothing and memory holds only so many")

    def _report_dropped(self, count: int, why: str) -> None:
        if count:
            before, self.dropped = self.dropped, self.dropped + count
            if before == 0 or before // 1000 != self.dropped // 1000:  # not at every event of a long outage
                log.warning("%d undelivered message(s) dropped so far (%s)", self.dropped, why)

    def _fail(self, error: Exception) -> None:
        if isinstance(error, sqlite3.Error) and is_damage(error) and self._path is not None and self._database:
            self._database.close()
            self._database = None
            try:
                self._database = salvage(self._path, error)
            except (OSError, sqlite3.Error) as worse:
                error = worse
            else:
                self._failed_at = None
                return
        self._failed_at = time.monotonic()
        problem = f"store.path {self._path}: cannot be written ({one_line(error)})"
        if self._problem != problem:
            log.error("%s; listening goes on, the newest %d events are kept in memory", problem, HELD)
            self._problem = problem
