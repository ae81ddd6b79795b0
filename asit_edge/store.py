"""Events on disk (SQLite, WAL): committed before anyone hears of them, queued until the broker has them.

Two tables. `event` is the history, in the order of `seq`. `outbox` holds what is still to be delivered; a row
leaves it when the broker has acknowledged it with a success code, or is marked with the reason for which the
broker refuses it for good. Delivery is at least once and in order; `id` and `seq` tell a repetition.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from asit_edge.errors import AsitEdgeError, one_line
from asit_edge.event import Event

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL, type TEXT NOT NULL, source TEXT NOT NULL, label TEXT NOT NULL, onset_epoch REAL NOT NULL,
    payload TEXT NOT NULL
);
CREATE TABLE outbox (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL, payload TEXT NOT NULL,
    refused TEXT
);
CREATE INDEX outbox_waiting ON outbox (row) WHERE refused IS NULL;
"""


class Outgoing(NamedTuple):
    """A message on its way; `topic` is relative to the device's."""

    row: int
    topic: str
    payload: str


class Store:
    """Open event store; every method may be called from any thread."""

    def __init__(self, path: Path | None, keep: int = 100_000, *, queue: bool = True) -> None:
        """`path` None keeps everything in memory. `queue` False keeps the history only: there is no broker.

        Raises AsitEdgeError if the file cannot be used.
        """
        self._keep = keep
        self._queue = queue
        self._lock = threading.Lock()
        self._path = path
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise AsitEdgeError(
                f"store.path {path}: cannot be used as event store ({one_line(error)}); "
                "name another file, or move this one away"
            ) from None

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._db.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")
        elif version != SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"made by another asit-edge: schema {version}, this one reads {SCHEMA_VERSION}")

    @contextmanager
    def _access(self) -> Iterator[None]:
        """One thread at a time. Raises AsitEdgeError where SQLite cannot go on (disk full, file damaged)."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise AsitEdgeError(f"store.path {self._path}: cannot be used ({one_line(error)})") from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing."""
        with self._access():
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def commit(self, events: Iterable[Event], topic: str) -> list[Event]:
        """Numbers the events and writes them and their messages in one transaction; returns them as written."""
        written: list[Event] = []
        with self._transaction():
            for event in events:
                columns = (event.id, event.type, event.source, event.label, event.onset_epoch)
                cursor = self._db.execute(
                    "INSERT INTO event (id, type, source, label, onset_epoch, payload) VALUES (?, ?, ?, ?, ?, '')",
                    columns,
                )
                numbered = event.model_copy(update={"seq": cursor.lastrowid})
                payload = numbered.to_json()
                self._db.execute("UPDATE event SET payload = ? WHERE seq = ?", (payload, numbered.seq))
                self._enqueue(topic, payload)
                written.append(numbered)
            self._bound()
        return written

    def post(self, topic: str, payload: str) -> None:
        """Queues a message that is not an event (a gap)."""
        with self._transaction():
            self._enqueue(topic, payload)
            self._bound()

    def _enqueue(self, topic: str, payload: str) -> None:
        if self._queue:
            self._db.execute("INSERT INTO outbox (topic, payload) VALUES (?, ?)", (topic, payload))

    def _bound(self) -> None:
        """Keeps the newest `keep` rows of both tables; undelivered messages that fall out are reported."""
        self._db.execute("DELETE FROM event WHERE seq <= (SELECT max(seq) FROM event) - ?", (self._keep,))
        dropped = self._db.execute(
            "DELETE FROM outbox WHERE row <= (SELECT max(row) FROM outbox) - ?", (self._keep,)
        ).rowcount
        if dropped:
            log.warning(
                "%d undelivered message(s) dropped: more than store.keep (%d) are waiting",
                dropped,
                self._keep,
            )

    def waiting(self, after: int, most: int) -> list[Outgoing]:
        """The oldest messages behind row `after` that the broker has not acknowledged."""
        with self._access():
            rows = self._db.execute(
                "SELECT row, topic, payload FROM outbox WHERE refused IS NULL AND row > ? ORDER BY row LIMIT ?",
                (after, most),
            ).fetchall()
        return [Outgoing(*row) for row in rows]

    def delivered(self, rows: Sequence[int]) -> None:
        """The broker has these."""
        with self._transaction():
            self._db.executemany("DELETE FROM outbox WHERE row = ?", [(row,) for row in rows])

    def refuse(self, row: int, reason: str) -> None:
        """The broker will never take this one: it stays for inspection and blocks nothing."""
        with self._transaction():
            self._db.execute("UPDATE outbox SET refused = ? WHERE row = ?", (reason, row))

    def count_waiting(self) -> int:
        with self._access():
            count: int = self._db.execute("SELECT count(*) FROM outbox WHERE refused IS NULL").fetchone()[0]
        return count

    def refusals(self) -> list[tuple[str, str]]:
        """Topic and reason of every message that the broker refused."""
        with self._access():
            return self._db.execute(
                "SELECT topic, refused FROM outbox WHERE refused IS NOT NULL ORDER BY row"
            ).fetchall()

    def close(self) -> None:
        with self._lock:
            self._db.close()
