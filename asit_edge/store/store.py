"""Events and what is still to be delivered: committed to disk before they are sent, and never blocked by it.

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
from functools import partial
from pathlib import Path

from asit_edge.messages.event import Event
from asit_edge.messages.report import ClipReport, Gap
from asit_edge.store.age import Age
from asit_edge.store.bounds import Bounds
from asit_edge.store.database import highest, lock_file
from asit_edge.store.disk import Disk
from asit_edge.store.notes import Notes
from asit_edge.store.numbers import Numbers
from asit_edge.store.rows import Outgoing, Post, Refusal, Wants
from asit_edge.store.wishes import WISH, grant, requeue, wishes

log = logging.getLogger(__name__)

TIDY_SECONDS = 60.0
"""Between looks at age and size while nothing is written."""

LAST = 1 << 62
"""Behind every row."""


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
        self._bounds = Bounds(keep, Age(max_days) if max_days is not None else None, max_mb)
        self._sinks = dict(sinks or {})
        self._lock = threading.RLock()
        self._notes = Notes()
        self._numbers = Numbers(lock_file(path) if path is not None else None)
        self._row = 0
        self._untidied = 0
        self._tidied_at = time.monotonic()
        self.dropped = 0
        """Messages that were given up undelivered since the start, because of a bound."""
        self.refused = 0
        """Messages that are kept because a sink refused them for good."""
        self._disk = Disk(path)
        self._adopted: sqlite3.Connection | None = None
        self._disk.write(self._adopt, durable=False)
        if self._adopted is None:
            self._row = int(time.time() * 1000)  # surely behind the rows of a file not seen yet
            self._numbers.jump()

    def _adopt(self, database: sqlite3.Connection) -> None:
        """Numbers go on behind those of a file that has just been opened."""
        if database is self._adopted:
            return
        self._row = max(self._row, highest(database, "outbox", "row"))
        last = highest(database, "event", "seq")
        self._notes.renumber(last)
        self._numbers.go_on(max([last, *self._notes.events]))
        self.refused = database.execute("SELECT count(*) FROM dead_letter").fetchone()[0] + self._notes.refused_count
        self._adopted = database

    @property
    def problem(self) -> str | None:
        """Why nothing can be written at the moment, in words for the user."""
        return self._disk.problem

    def configure(self, keep: int, max_days: float | None, max_mb: float | None, sinks: Mapping[str, Wants]) -> None:
        """Other bounds and sinks from now on; what waits for a sink that is gone stays, within the bounds."""
        with self._lock:
            age = self._bounds.age if self._bounds.age and self._bounds.age.days == max_days else None
            if max_days is not None and age is None:
                age = Age(max_days)
            self._bounds, self._sinks = Bounds(keep, age, max_mb), dict(sinks)

    def commit(self, events: Iterable[Event], topic: str) -> list[Event]:
        """Numbers the events and stores them and their messages in one transaction; returns them as stored."""
        events = list(events)
        with self._lock:
            row = self._row
            written = self._note(events, topic)
            if not self._write() and not self._numbers.keep():
                # Nothing here outlives a kill: other numbers, before anybody hears of these.
                self._notes.withdraw({event.seq for event in written}, row)
                self._numbers.jump()
                written = self._note(events, topic)
        return written

    def _note(self, events: list[Event], topic: str) -> list[Event]:
        written = []
        for event in events:
            self._numbers.last += 1
            numbered = event.model_copy(update={"seq": self._numbers.last})
            self._notes.events[numbered.seq] = numbered
            self._enqueue(topic, numbered)
            written.append(numbered)
        return written

    def unfinished(self) -> list[Event]:
        """The last message of every event that began and has not ended, the oldest first. Looks at all that is kept."""
        last = "SELECT max(seq) FROM event GROUP BY id"
        query = f"SELECT payload FROM event WHERE seq IN ({last}) AND type != 'end' ORDER BY seq"
        with self._lock:
            return [Event.model_validate_json(payload) for (payload,) in self._disk.read(query)]

    def post(self, topic: str, message: Gap | ClipReport) -> None:
        """Stores and queues a message that is not an event."""
        with self._lock:
            self._enqueue(topic, message)
            self._write()

    def _enqueue(self, topic: str, message: Post) -> None:
        payload = message.to_json()
        for sink, wants in self._sinks.items():
            if wants(message):
                self._row += 1
                self._notes.enqueue(sink, Outgoing(self._row, topic, payload, time.time()))

    def waiting(self, sink: str, after: int, most: int, up_to: int | None = None) -> list[Outgoing]:
        """The oldest messages of a sink behind row `after` (up to row `up_to`) that it has not taken."""
        with self._lock:
            last, gone = up_to if up_to is not None else LAST, self._notes.gone
            query = (
                "SELECT row, topic, payload, queued FROM outbox WHERE sink = ? AND row > ? AND row <= ? "
                "ORDER BY row LIMIT ?"
            )
            stored = self._disk.read(query, (sink, after, last, most + len(gone)))
            found = [Outgoing(*row) for row in stored if row[0] not in gone]
            return sorted(found + self._notes.waiting(sink, after, last))[:most]

    @property
    def last_row(self) -> int:
        """The row of the newest message."""
        return self._row

    def last_row_before(self, sink: str, epoch: float) -> int:
        """The row of the newest message that has waited since then or longer; 0 if none has."""
        with self._lock:
            noted = [one.row for one in self._notes.waiting(sink, 0, LAST) if one.queued <= epoch]
            query = "SELECT row FROM outbox WHERE sink = ? AND queued <= ? ORDER BY row DESC LIMIT 1"
            return max([0, *noted, *(row for (row,) in self._disk.read(query, (sink, epoch)))])

    def count_waiting(self, sink: str | None = None, up_to: int | None = None) -> int:
        """Messages up to row `up_to` that a sink, or any (None), has not taken."""
        with self._lock:
            last = up_to if up_to is not None else LAST
            gone = ", ".join(map(str, self._notes.gone))  # too many for parameters, after a day of a full disk
            of_sink, parameters = ("", ()) if sink is None else ("AND sink = ?", (sink,))
            query = f"SELECT count(*) FROM outbox WHERE row <= ? {of_sink} AND row NOT IN ({gone})"
            stored = self._disk.read(query, (last, *parameters))
            return len(self._notes.waiting(sink, 0, last)) + sum(count for (count,) in stored)

    def delivered(self, rows: Sequence[int]) -> None:
        """The sink has these."""
        with self._lock:
            for row in rows:
                self._notes.forget(row)
            self._write()

    def refuse(self, row: int, reason: str) -> None:
        """The sink will never take this one: it stays for inspection and blocks nothing."""
        with self._lock:
            query = "SELECT sink, topic, payload FROM outbox WHERE row = ?"
            for sink, topic, payload in self._notes.find(row) or self._disk.read(query, (row,)):
                self._notes.refuse(sink, topic, payload, reason, time.time())
                self.refused += 1
            self._notes.forget(row)
            self._write()

    def refusals(self) -> list[Refusal]:
        """Every message that a sink refused, the oldest first."""
        with self._lock:
            stored = self._disk.read("SELECT sink, topic, reason FROM dead_letter ORDER BY number")
            return [Refusal(*row) for row in stored] + self._notes.refusals()

    def refused_topics(self, sink: str, reason: str) -> set[str]:
        """Topics of messages that the sink refused for that reason."""
        return {one.topic for one in self.refusals() if (one.sink, one.reason) == (sink, reason)}

    def requeue(self, sink: str, topic: str, reason: str, most: int) -> int:
        """Queues the oldest messages of a topic once more that the sink had refused for that reason; says how many."""
        with self._lock:
            self._write()
            return self._requeue((sink, topic, reason), most, lambda _database, _count: None)

    def grant_wishes(self) -> set[str]:
        """Queues once more what other processes ask for (`asit-edge refused --requeue`); says whose it is."""
        with self._lock:
            asked = wishes(self._disk.read("SELECT name, value FROM state WHERE name GLOB ?", (f"{WISH}*",)))
            if not asked or not self._write(at_once=True):
                return set()
            sinks = {one.sink for one in self.refusals()}
            for wish in asked:
                count = self._requeue((wish.sink, wish.topic, None), LAST, partial(grant, wish=wish))
                log.info("%d refused message(s) are queued once more, as asked for", count)
            return sinks

    def _requeue(
        self, which: tuple[str | None, ...], most: int, also: Callable[[sqlite3.Connection, int], None]
    ) -> int:
        """`which` is sink, topic and reason, None for any; `also` is done in the same transaction."""

        def change(database: sqlite3.Connection) -> int:
            self._adopt(database)
            count = requeue(database, which, most, self._row)
            also(database, count)
            return count

        count = self._disk.write(change, durable=True) or 0
        self._row += count
        self.refused -= count
        return count

    def retained(self) -> set[str]:
        """The topics on which the broker keeps something of ours, as noted by `remember_retained`."""
        with self._lock:
            return {topic for (topic,) in self._disk.read("SELECT topic FROM retained")}

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
            self._disk.be_patient()
            if not self._write(at_once=True) and self._notes.waiting_count:
                log.error("%d message(s) are lost: %s", self._notes.waiting_count, self.problem)
            self._disk.close()

    def _write(self, *, tidy: bool = False, at_once: bool = False) -> bool:
        """Brings the disk up to date. False where that is not possible now; nothing is forgotten then."""
        notes = self._notes
        untidied = self._untidied + notes.growth
        # After a failure there must be something to write, or else it would count as overcome untried.
        tidy = tidy or untidied >= max(self._bounds.keep // 100, 1) or self.problem is not None
        if not (notes or tidy):
            return True

        def change(database: sqlite3.Connection) -> int:
            self._adopt(database)
            notes.write(database)
            return self._bounds.apply(database) if tidy else 0

        dropped = self._disk.write(change, durable=notes.news, at_once=at_once)
        if dropped is None:
            self._report_dropped(notes.bound(), "the disk takes nothing and memory holds only so many")
            return False
        self._notes = Notes()
        self._untidied = 0 if tidy else untidied
        if tidy:
            self._tidied_at = time.monotonic()
        self._report_dropped(dropped, "store.keep, store.max_days or store.max_mb")
        return True

    def _report_dropped(self, count: int, why: str) -> None:
        if count:
            before, self.dropped = self.dropped, self.dropped + count
            if before == 0 or before // 1000 != self.dropped // 1000:  # not at every event of a long outage
                log.warning("%d undelivered message(s) dropped so far (%s)", self.dropped, why)
