"""The store's file: how it is laid out, brought up from older layouts, checked, and saved when it is damaged.

Opening is all that happens here; what the rows mean is `asit_edge.store.store`'s business. A damaged file is never
deleted: it is moved aside, and every row that can still be read goes into a new one.
"""

import fcntl
import logging
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from asit_edge.errors import AsitEdgeError, one_line
from asit_edge.host.files import make_folder, make_private, owner_only, tighten

log = logging.getLogger(__name__)

SCHEMA_VERSION = 2

PATIENCE, LAST_PATIENCE = 0.25, 5.0
"""Seconds for which another program may lock the file: while events come, and when the store is closed."""

_MAGIC = b"SQLite format 3\0"
_WAL_LIMIT = 4 << 20
"""Bytes that the write-ahead log may keep on disk once it has been merged."""

_AT_ONCE = 1000
"""Rows held in memory while a damaged file is read."""

_HOPELESS = 20_000
"""Reads that fail one after the other before the rest of a table is given up; a page of pointers may cost 8,000."""

_HISTORY = """
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL, type TEXT NOT NULL, source TEXT NOT NULL, label TEXT NOT NULL, onset_epoch REAL NOT NULL,
    payload TEXT NOT NULL
);
"""

_OUTBOX = """
CREATE TABLE outbox (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    sink TEXT NOT NULL, topic TEXT NOT NULL, payload TEXT NOT NULL, queued REAL NOT NULL
);
CREATE INDEX outbox_sink ON outbox (sink, row);
CREATE TABLE dead_letter (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sink TEXT NOT NULL, topic TEXT NOT NULL, payload TEXT NOT NULL, reason TEXT NOT NULL, refused REAL NOT NULL
);
CREATE TABLE retained (topic TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
"""`retained` names every topic on which the broker keeps something of ours; `state` knows if the file was closed."""

_FROM_1 = f"""
ALTER TABLE outbox RENAME TO outbox_1;
DROP INDEX outbox_waiting;
{_OUTBOX}
INSERT INTO outbox (row, sink, topic, payload, queued)
    SELECT row, 'mqtt', topic, payload, unixepoch_now() FROM outbox_1 WHERE refused IS NULL;
INSERT INTO dead_letter (sink, topic, payload, reason, refused)
    SELECT 'mqtt', topic, payload, refused, unixepoch_now() FROM outbox_1 WHERE refused IS NOT NULL;
DROP TABLE outbox_1;
"""

_TABLES = {
    "event": ("seq", "seq, id, type, source, label, onset_epoch, payload"),
    "outbox": ("row", "row, sink, topic, payload, queued"),
    "dead_letter": ("number", "number, sink, topic, payload, reason, refused"),
}


class NotAStore(AsitEdgeError):
    """The file belongs to another program, to a newer asit-edge or to one that runs: it is left alone."""


def lock_file(path: Path) -> Path:
    """Beside the store: who writes to it has it locked; `asit_edge.store.numbers` keeps a number in it."""
    return path.with_name(f"{path.name}.lock")


def lease(path: Path) -> IO[bytes]:
    """The right to write to the store, as long as what is returned stays open; a process that dies gives it back.

    Raises NotAStore if another process has it, OSError if the disk does not allow writing.
    """
    make_folder(path.parent)
    name = lock_file(path)
    tighten(name)
    file = open(name, "ab", opener=owner_only)  # noqa: SIM115 - open is what holds the lock
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise NotAStore(
            f"store.path {path}: another asit-edge listens with this store; stop it, or name another file"
        ) from None
    except OSError as error:  # a file system without locks is no reason not to listen
        log.debug("%s: cannot be locked (%s)", path, one_line(error))
    return file


def open_database(path: Path | None) -> sqlite3.Connection:
    """The store's file, ready to use, in whatever state it was left; None for one in memory.

    Raises NotAStore if the file is not a store; OSError or sqlite3.Error if the disk does not allow writing.
    """
    if path is None:
        database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        _lay_out(database, path)
        return database
    make_folder(path.parent)
    _require_store(path)
    try:
        return _open_file(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return salvage(path, error)


def highest(database: sqlite3.Connection, table: str, key: str) -> int:
    """The highest number that the table ever had; 0 if it never had any."""
    found = database.execute(
        f"SELECT max(ifnull((SELECT max({key}) FROM {table}), 0), "
        "ifnull((SELECT max(seq) FROM sqlite_sequence WHERE name = ?), 0))",
        (table,),
    ).fetchone()[0]
    return int(found)


def is_damage(error: sqlite3.Error) -> bool:
    """The file's content is wrong (as opposed to a disk that is full, absent or read-only)."""
    text = str(error)
    return "malformed" in text or "not a database" in text or "database corruption" in text


def _open_file(path: Path) -> sqlite3.Connection:
    make_private(path)  # SQLite gives what it puts beside the file the same mode
    for suffix in ("-wal", "-shm"):
        tighten(path.with_name(path.name + suffix))
    database = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT}")
        _lay_out(database, path)
        if _mark(database, "open") != "closed":
            _check(database)
        be_patient(database, PATIENCE)
    except BaseException:
        database.close()
        raise
    return database


def be_patient(database: sqlite3.Connection, seconds: float) -> None:
    """How long another program may have the file locked before that counts as a failure of the disk."""
    database.execute(f"PRAGMA busy_timeout={round(seconds * 1000)}")


def close_database(database: sqlite3.Connection) -> None:
    """Notes that the file is whole, so that the next start need not look."""
    try:
        _mark(database, "closed")
    except sqlite3.Error as error:
        log.warning("the event store could not be closed properly (%s)", one_line(error))
    database.close()


def _mark(database: sqlite3.Connection, now: str) -> str:
    """Writes down whether the file is in use; returns what stood there before."""
    found = database.execute("SELECT value FROM state WHERE name = 'file'").fetchone()
    database.execute("INSERT OR REPLACE INTO state (name, value) VALUES ('file', ?)", (now,))
    return found[0] if found else "closed"


def _check(database: sqlite3.Connection) -> None:
    """After a crash: raises sqlite3.DatabaseError if the file's pages do not fit together."""
    found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(f"database disk image is malformed: {found}")


def _require_store(path: Path) -> None:
    """Raises NotAStore if the file is of another kind: it must not be moved aside because `store.path` was mistyped."""
    if not path.exists():
        return
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    if start and start != _MAGIC and path.suffix != ".db":
        raise NotAStore(f"store.path {path}: is not an event store; name another file, or move this one away")


def _lay_out(database: sqlite3.Connection, path: Path | None) -> None:
    """Makes the tables, or brings them up from an older version, in one transaction; closing undoes what failed."""
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version == SCHEMA_VERSION:
        return
    tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise NotAStore(
            f"store.path {path}: made by a newer asit-edge (schema {version}, this one reads up to {SCHEMA_VERSION}); "
            "update asit-edge, or name another file"
        )
    if version == 0 and tables:
        raise NotAStore(f"store.path {path}: is a database of another program; name another file")
    database.create_function("unixepoch_now", 0, time.time)
    steps = _FROM_1 if version == 1 else _HISTORY + _OUTBOX
    database.executescript(f"BEGIN IMMEDIATE;{steps}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")
    if version:
        log.info("the event store %s was brought from schema %d to %d", path, version, SCHEMA_VERSION)


def salvage(path: Path, cause: Exception) -> sqlite3.Connection:
    """Every row of a damaged file that can still be read goes into a new one; the damaged one is moved aside.

    Raises OSError or sqlite3.Error if the disk does not allow writing.
    """
    fresh = path.with_name(f"{path.name}.new")
    for suffix in ("", "-wal", "-shm"):
        fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
    database = _open_file(fresh)
    saved = _copy_rows(path, database)
    database.close()
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    while aside.exists():
        aside = aside.with_name(f"{aside.name}-")
    for suffix in ("", "-wal", "-shm"):  # together: the write-ahead log belongs to its file
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    fresh.rename(path)
    log.error(
        "the event store %s is damaged (%s): %d event(s) and %d waiting message(s) were saved from it; "
        "the damaged file is kept as %s",
        *(path, one_line(cause), saved["event"], saved["outbox"], aside),
    )
    return _open_file(path)


def _copy_rows(damaged: Path, database: sqlite3.Connection) -> dict[str, int]:
    saved = dict.fromkeys(_TABLES, 0)
    old = sqlite3.connect(damaged, isolation_level=None)
    try:
        if _rows(old, "PRAGMA user_version") == [(1,)]:
            try:
                _lay_out(old, damaged)
            except sqlite3.Error:
                return saved
        database.execute("BEGIN IMMEDIATE")
        for table, (key, columns) in _TABLES.items():
            places = ", ".join("?" * len(columns.split(", ")))
            for row in _readable(old, table, key, columns):
                database.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({places})", row)
                saved[table] += 1
        for row in _rows(old, "SELECT topic FROM retained"):
            database.execute("INSERT OR IGNORE INTO retained (topic) VALUES (?)", row)
        for name, last in _rows(old, "SELECT name, seq FROM sqlite_sequence"):
            if not database.execute(
                "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (last, name)
            ).rowcount:
                database.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, last))
        database.execute("COMMIT")
    finally:
        old.close()
        if database.in_transaction:
            database.execute("ROLLBACK")
    return saved


def _rows(database: sqlite3.Connection, query: str) -> list[tuple[Any, ...]]:
    try:
        return database.execute(query).fetchall()
    except sqlite3.Error:
        return []


def _readable(database: sqlite3.Connection, table: str, key: str, columns: str) -> Iterator[tuple[object, ...]]:
    """Every row that can be read, in order: a range that cannot be read as a whole is halved until it can."""
    query = f"SELECT {columns} FROM {table} WHERE {key} BETWEEN ? AND ? ORDER BY {key} LIMIT {_AT_ONCE}"
    ranges, failures = [(1, 1 << 48)], 0
    while ranges and failures < _HOPELESS:
        low, high = ranges.pop()
        try:
            rows = database.execute(query, (low, high)).fetchall()
        except sqlite3.Error:
            failures += 1
            if low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]
            continue
        failures = 0 if rows else failures
        if len(rows) == _AT_ONCE:
            ranges.append((rows[-1][0] + 1, high))
        yield from rows
