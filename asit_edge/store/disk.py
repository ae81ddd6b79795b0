"""The store's file as something that may fail and come back: opened, read, written, salvaged, tried again.

What is in it is not decided here. Not safe for threads: whoever uses it has a lock.
"""

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

from asit_edge.errors import one_line
from asit_edge.store.database import (
    LAST_PATIENCE,
    NotAStore,
    be_patient,
    close_database,
    is_damage,
    lease,
    open_database,
    salvage,
)
from asit_edge.store.notes import HELD

log = logging.getLogger(__name__)

RETRY_DISK = 5.0
"""Seconds between attempts to write to a disk that failed."""

Result = TypeVar("Result")


class Disk:
    """A database that never raises because of the disk: reading gives nothing then, and writing says so."""

    def __init__(self, path: Path | None) -> None:
        """`path` None keeps everything in memory.

        Raises NotAStore if the file is not ours to write, or another process writes to it.
        """
        self._path = path
        self.database: sqlite3.Connection | None = None
        self._lease: IO[bytes] | None = None
        self._failed_at: float | None = None
        self._closed = False
        self.problem: str | None = None
        """Why nothing can be written at the moment, in words for the user."""
        try:
            self._open()
        except (OSError, sqlite3.Error) as error:
            self._fail(error)

    def read(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows; none where the disk cannot be read."""
        for _ in range(2):
            if self.database is None:
                break
            try:
                return self.database.execute(query, parameters).fetchall()
            except sqlite3.Error as error:
                if not self._fail(error):
                    break
        return []

    def write(
        self, change: Callable[[sqlite3.Connection], Result], *, durable: bool, at_once: bool = False
    ) -> Result | None:
        """What `change` returns, having changed the database in one transaction; None if that is not possible now.

        `durable`: on the platter before this returns. `at_once`: also if the disk failed a moment ago.
        """
        resting = self._failed_at is not None and time.monotonic() < self._failed_at + RETRY_DISK and not at_once
        if self._closed or resting:
            return None
        for _ in range(2):
            try:
                result = self._transact(self.database or self._open(), change, durable)
            except (NotAStore, OSError, sqlite3.Error) as error:  # NotAStore: it came back with another's file on it
                if not self._fail(error):
                    return None
            else:
                self._recover()
                return result
        return None

    def be_patient(self) -> None:
        """What is written from now on is the last."""
        if self.database is not None and self._path is not None:
            with contextlib.suppress(sqlite3.Error):
                be_patient(self.database, LAST_PATIENCE)

    def close(self) -> None:
        self._closed = True
        if self.database is not None:
            close_database(self.database)
            self.database = None
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    def _open(self) -> sqlite3.Connection:
        if self._path is not None and self._lease is None:
            self._lease = lease(self._path)
        self.database = open_database(self._path)
        return self.database

    @staticmethod
    def _transact(
        database: sqlite3.Connection, change: Callable[[sqlite3.Connection], Result], durable: bool
    ) -> Result:
        database.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        try:
            database.execute("BEGIN IMMEDIATE")
            result = change(database)
            database.execute("COMMIT")
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")
        return result

    def _fail(self, error: Exception) -> bool:
        """Notes a failure. True if the file was damaged and could be salvaged: it may be tried again at once."""
        if isinstance(error, sqlite3.Error) and is_damage(error) and self._path is not None and self.database:
            self.database.close()
            self.database = None
            try:
                self.database = salvage(self._path, error)
            except (OSError, sqlite3.Error) as worse:
                error = worse
            else:
                self._failed_at = None
                return True
        self._failed_at = time.monotonic()
        problem = f"store.path {self._path}: cannot be written ({one_line(error)})"
        if self.problem != problem:
            log.error("%s; listening goes on, the newest %d events are kept in memory", problem, HELD)
            self.problem = problem
        return False

    def _recover(self) -> None:
        self._failed_at = None
        if self.problem is not None:
            log.warning("the event store %s can be written again; nothing that memory held is missing", self._path)
            self.problem = None
