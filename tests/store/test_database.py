"""The store's file: whose it is, brought up from an older layout, saved row by row when it is damaged."""

import logging
import sqlite3
from pathlib import Path

import pytest

from asit_edge.store.database import NotAStore
from asit_edge.store.store import Store
from tests.store.samples import TO_MQTT, damaged_store, event, ids


def test_two_listeners_do_not_share_a_store(tmp_path: Path) -> None:
    first = Store(tmp_path / "events.db")
    with pytest.raises(NotAStore, match="another asit-edge listens with this store"):
        Store(tmp_path / "events.db")
    first.close()
    Store(tmp_path / "events.db").close()


def test_a_file_from_the_first_version_is_brought_up_to_date(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "events.db"
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
