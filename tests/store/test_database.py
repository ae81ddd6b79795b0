"""The store's file: whose it is, brought up from an older layout, saved row by row when it is damaged."""

import contextlib
import errno
import logging
import sqlite3
import time
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.store.database import (
    SCHEMA_VERSION,
    NotAStore,
    _readable,
    be_patient,
    close_database,
    highest,
    is_damage,
    lease,
    lock_file,
    open_database,
    salvage,
)
from asit_edge.store.store import Store
from tests.store.samples import TO_MQTT, damaged_store, event, ids


def test_two_listeners_do_not_share_a_store(tmp_path: Path) -> None:
    first = Store(tmp_path / "events.db")
    with pytest.raises(NotAStore, match="another asit-edge listens with this store"):
        Store(tmp_path / "events.db")
    first.close()
    Store(tmp_path / "events.db").close()


def first_layout(path: Path) -> None:
    """A file as the first version left it, with one event, a message that waits and one that was refused."""
    with sqlite3.connect(path) as old:
        old.executescript("""
            CREATE TABLE event (
                seq INTEGER PRIMARY KEY AUTOINCREMENT,
                id TEXT NOT NULL, type TEXT NOT NULL, source TEXT NOT NULL, label TEXT NOT NULL,
                onset_epoch REAL NOT NULL, payload TEXT NOT NULL
            );
            CREATE TABLE outbox (
                row INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, payload TEXT NOT NULL, refused TEXT
            );
            CREATE INDEX outbox_waiting ON outbox (row) WHERE refused IS NULL;
            INSERT INTO event VALUES (7, 'id-7', 'new', 'mic', 'Dog', 1.0, '{}');
            INSERT INTO outbox VALUES (5, 'mic/event', '{"five": 5}', NULL);
            INSERT INTO outbox VALUES (6, 'mic/event', '{"six": 6}', 'Not authorized');
            PRAGMA user_version=1;
        """)
    old.close()


def test_a_file_from_the_first_version_is_brought_up_to_date(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "events.db"
    first_layout(path)
    with caplog.at_level(logging.INFO):
        store = Store(path, sinks=TO_MQTT)
    assert "from schema 1 to 2" in caplog.text
    assert [(one.row, one.topic, one.payload) for one in store.waiting("mqtt", 0, 10)] == [
        (5, "mic/event", '{"five": 5}')
    ]
    assert store.refusals() == [("mqtt", "mic/event", "Not authorized")]
    assert store.commit([event()], "t")[0].seq == 8
    store.close()
    assert Store(path, sinks=TO_MQTT).count_waiting() == 2, "and it stays so"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("letter.txt", b"Dear Dog, this is not a database, but long enough to look at" * 40, "is not an event store"),
        ("newer.db", "PRAGMA user_version=99", "made by a newer asit-edge"),
        ("other.db", "CREATE TABLE photos (name TEXT)", "is a database of another program"),
    ],
)
def test_a_file_that_is_somebody_elses_is_left_alone(
    tmp_path: Path, name: str, content: bytes | str, message: str
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with sqlite3.connect(path) as database:
            database.execute(content)
        database.close()
    with pytest.raises(NotAStore, match=message):
        Store(path)
    if isinstance(content, bytes):
        assert path.read_bytes() == content


def test_a_damaged_file_is_saved_row_by_row_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "events.db"
    damaged_store(path, 1000, spoil_at=None)
    with caplog.at_level(logging.ERROR):
        store = Store(path, sinks=TO_MQTT)
    [aside] = tmp_path.glob("events.db.damaged-*Z")
    assert f"the damaged file is kept as {aside}" in caplog.text
    saved = ids(store)
    assert len(saved) >= 980, "all but what stood on the spoilt page"
    assert saved == sorted(saved, key=lambda name: int(name[3:]))
    assert store.problem is None
    assert store.commit([event()], "t")[0].seq == 1001


def test_a_file_with_a_spoilt_head_is_moved_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "events.db"
    damaged_store(path, 100, spoil_at=0)
    with caplog.at_level(logging.ERROR):
        store = Store(path, sinks=TO_MQTT)
    assert "is damaged" in caplog.text
    assert len(list(tmp_path.glob("events.db.damaged-*"))) == 1
    store.commit([event(1)], "t")
    assert ids(store) == ["id-1"]


def pragma(database: sqlite3.Connection, name: str) -> object:
    return database.execute(f"PRAGMA {name}").fetchone()[0]


def test_the_file_is_used_so_that_power_cuts_and_other_programs_do_no_harm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    database = open_database(tmp_path / "deep" / "events.db")
    assert pragma(database, "journal_mode") == "wal"
    assert pragma(database, "synchronous") == 2, "FULL"
    assert pragma(database, "journal_size_limit") == 4 << 20
    assert pragma(database, "busy_timeout") == 250, "milliseconds: while events come, nobody waits for long"
    be_patient(database, 5.0)
    assert pragma(database, "busy_timeout") == 5000
    close_database(database)
    assert caplog.messages == [], "a new file is nothing to speak of"


def test_what_others_could_read_of_it_is_for_the_owner_alone_from_now_on(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    database = open_database(path)
    database.execute("INSERT INTO retained VALUES ('t')")
    files = [path.with_name(f"events.db{suffix}") for suffix in ("", "-wal", "-shm")]
    for file in files:
        file.chmod(0o644)
    again = open_database(path)
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 3
    again.close()
    database.close()
    lock_file(path).touch()
    lock_file(path).chmod(0o644)
    lease(path).close()
    assert lock_file(path).stat().st_mode & 0o777 == 0o600


def test_a_file_system_without_locks_is_no_reason_not_to_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("asit_edge.store.database.fcntl.flock", refuses)
    with lease(tmp_path / "deep" / "events.db") as file:
        assert not file.closed


def test_a_store_in_memory_is_laid_out_like_any_other() -> None:
    database = open_database(None)
    assert pragma(database, "user_version") == SCHEMA_VERSION
    assert highest(database, "event", "seq") == highest(database, "outbox", "row") == 0


def test_numbers_are_never_given_twice(tmp_path: Path) -> None:
    database = open_database(tmp_path / "events.db")
    insert = "INSERT INTO outbox (sink, topic, payload, queued) VALUES ('x', 't', '{}', 0)"
    for _ in range(3):
        database.execute(insert)
    assert highest(database, "outbox", "row") == 3
    database.execute("DELETE FROM outbox WHERE row > 1")
    assert highest(database, "outbox", "row") == 3, "also of what has gone"
    database.execute("DELETE FROM sqlite_sequence")
    assert highest(database, "outbox", "row") == 1, "and where only the rows tell"
    assert highest(database, "event", "seq") == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("database disk image is malformed", True),
        ("file is not a database", True),
        ("database corruption at line 7", True),
        ("disk I/O error", False),
        ("attempt to write a readonly database", False),
        ("database or disk is full", False),
    ],
)
def test_a_damaged_file_is_told_from_a_disk_that_fails(text: str, expected: bool) -> None:
    assert is_damage(sqlite3.DatabaseError(text)) is expected


def spoilt_in_the_middle(path: Path, *, closed: bool) -> None:
    damaged_store(path, 200, spoil_at=None)
    if closed:  # whoever closed it had seen nothing of the damage
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE state SET value = 'closed' WHERE name = 'file'")


def test_a_file_is_looked_through_only_after_a_crash(tmp_path: Path) -> None:
    for closed in (True, False):
        path = tmp_path / str(closed) / "events.db"
        spoilt_in_the_middle(path, closed=closed)
        open_database(path).close()
        assert bool(list(path.parent.glob("*.damaged-*"))) is not closed
    database = open_database(tmp_path / "events.db")
    assert database.execute("SELECT value FROM state").fetchall() == [("open",)]
    close_database(database)
    with contextlib.closing(sqlite3.connect(tmp_path / "events.db")) as other:
        assert other.execute("SELECT value FROM state").fetchall() == [("closed",)]


def test_any_name_will_do_for_a_store_and_an_empty_file_is_one(tmp_path: Path) -> None:
    path = tmp_path / "heard"
    path.touch()
    for seq in (1, 2):
        store = Store(path)
        assert store.commit([event()], "t")[0].seq == seq
        store.close()


def test_a_first_layout_that_is_not_whole_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with contextlib.closing(sqlite3.connect(path)) as old, old:
        old.execute("CREATE TABLE outbox (row INTEGER PRIMARY KEY, topic TEXT, payload TEXT, refused TEXT)")
        old.execute("INSERT INTO outbox VALUES (5, 't', '{}', NULL)")
        old.execute("PRAGMA user_version=1")
    with pytest.raises(sqlite3.OperationalError, match="outbox_waiting"):
        open_database(path)
    with contextlib.closing(sqlite3.connect(path)) as old:
        assert pragma(old, "user_version") == 1
        assert old.execute("SELECT row, topic FROM outbox").fetchall() == [(5, "t")]
    salvage(path, sqlite3.DatabaseError("malformed")).close()
    [aside] = tmp_path.glob("events.db.damaged-*Z")
    with contextlib.closing(sqlite3.connect(aside)) as old:
        assert old.execute("SELECT row, topic FROM outbox").fetchall() == [(5, "t")]


def everything(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        tables = ("event", "outbox", "dead_letter", "retained", "sqlite_sequence")
        return {table: sorted(database.execute(f"SELECT * FROM {table}").fetchall()) for table in tables}


def test_all_of_a_file_in_which_everything_can_be_read_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("asit_edge.store.database._AT_ONCE", 4)
    now = time.gmtime(0)
    monkeypatch.setattr("asit_edge.store.database.time.gmtime", lambda: now)
    path = tmp_path / "events.db"
    store = Store(path, sinks=TO_MQTT)
    store.commit([event(number) for number in range(18)], "t")
    store.delivered([1, 2, 17, 18])
    store.refuse(5, "no")
    store.remember_retained(["a", "b"])
    store.close()
    before = everything(path)
    for copies in range(3):
        for suffix in ("", "-wal", "-shm"):  # of a start that was killed while it saved
            (tmp_path / f"events.db.new{suffix}").write_bytes(b"left over")
        salvage(path, sqlite3.DatabaseError("malformed")).close()
        assert everything(path) == before
        aside = tmp_path / f"events.db.damaged-19700101T000000Z{'-' * copies}"
        assert everything(aside) == before, "whatever was put aside in the same second is kept too"
    assert caplog.text.count("18 event(s) and 13 waiting message(s) were saved") == 3
    assert list(tmp_path.glob("events.db.new*")) == []
    again = Store(path, sinks=TO_MQTT)
    assert (again.commit([event()], "t")[0].seq, again.last_row) == (19, 19)


def test_a_first_layout_is_saved_too(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    first_layout(path)
    salvage(path, sqlite3.DatabaseError("malformed")).close()
    store = Store(path, sinks=TO_MQTT)
    assert [(one.row, one.payload) for one in store.waiting("mqtt", 0, 10)] == [(5, '{"five": 5}')]
    assert store.refusals() == [("mqtt", "mic/event", "Not authorized")]
    assert store.commit([event()], "t")[0].seq == 8


class Pages:
    """A table of which some rows cannot be read, nor anything that is read together with them."""

    def __init__(self, rows: Iterable[int], unreadable: Container[int]) -> None:
        self.failures = 0
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.database.execute("CREATE TABLE page (number INTEGER PRIMARY KEY)")
        self.database.executemany("INSERT INTO page VALUES (?)", ((number,) for number in rows))

        def read(number: int) -> str:
            if number in unreadable:
                self.failures += 1
                raise sqlite3.DatabaseError
            return f"row {number}"

        self.database.create_function("content", 1, read)
        self.database.execute("CREATE VIEW event AS SELECT number AS seq, content(number) AS payload FROM page")

    def readable(self) -> list[tuple[object, ...]]:
        return list(_readable(self.database, "event", "seq", "seq, payload"))


@given(
    st.sets(st.one_of(st.integers(1, 60), st.sampled_from([1, 1 << 20, 1 << 48])), max_size=25),
    st.sets(st.integers(1, 60), max_size=12),
    st.integers(1, 4),
)
def test_of_a_damaged_table_every_row_comes_once_that_can_be_read(
    rows: set[int], unreadable: set[int], at_once: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asit_edge.store.database._AT_ONCE", at_once)
        found = Pages(rows, unreadable).readable()
    assert found == [(number, f"row {number}") for number in sorted(rows - unreadable)]


def test_what_is_damaged_beyond_hope_is_given_up_and_what_is_not_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asit_edge.store.database._HOPELESS", 100)
    hopeless = Pages(range(2, 2001, 2), range(2, 2000, 2))  # what is empty is no sign of hope
    assert hopeless.readable() == []
    assert hopeless.failures == 100
    patchy = Pages(range(1, 1001), range(1, 1000, 2))  # every other row, and as many failures in all
    assert len(patchy.readable()) == 500
    assert patchy.failures > 500
