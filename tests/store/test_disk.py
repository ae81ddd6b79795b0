"""Disks that are full, read-only, away or damaged, and come back."""

import contextlib
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from asit_edge.messages.event import Event
from asit_edge.store.disk import Disk
from asit_edge.store.notes import HELD
from asit_edge.store.store import Store
from tests.store.samples import TO_MQTT, event, ids, spoil


def fill(store: Store) -> None:
    """From now on the database cannot grow by a page: what a full disk does."""
    pages = store._disk.database.execute("PRAGMA page_count").fetchone()[0]  # type: ignore[union-attr]
    store._disk.database.execute(f"PRAGMA max_page_count={pages}")  # type: ignore[union-attr]


def free(store: Store) -> None:
    store._disk.database.execute("PRAGMA max_page_count=1073741823")  # type: ignore[union-attr]


def test_with_a_full_disk_events_are_numbered_held_and_delivered_and_written_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("asit_edge.store.disk.RETRY_DISK", 0.0)
    path = tmp_path / "events.db"
    store = Store(path, sinks=TO_MQTT)
    store.commit([event(number) for number in range(100)], "t")
    fill(store)
    with caplog.at_level(logging.WARNING):
        written = [store.commit([event(number)], "t")[0] for number in range(100, 200)]
        assert [one.seq for one in written] == list(range(101, 201))
        assert "database or disk is full" in str(store.problem)
        assert caplog.text.count("listening goes on") == 1, "said once"
        assert ids(store) == [f"id-{number}" for number in range(200)], "sinks see disk and memory as one"
        rows = [one.row for one in store.waiting("mqtt", 0, 200)]
        store.delivered([*rows[:50], *rows[150:]])
        assert store.count_waiting() == 100
        assert ids(store) == [f"id-{number}" for number in range(50, 150)]
        free(store)
        store.tend()
    assert store.problem is None
    assert "can be written again" in caplog.text
    assert store.count_waiting() == 100
    store.close()
    again = Store(path, sinks=TO_MQTT)
    assert ids(again) == [f"id-{number}" for number in range(50, 150)]
    assert again.commit([event()], "t")[0].seq == 201


def test_with_a_disk_that_takes_nothing_any_number_of_messages_may_be_delivered_from_it(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    Store(path, sinks=TO_MQTT).close()
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        rows = ((row, "mqtt", "t", "{}", 0.0) for row in range(1, 34_001))
        database.executemany("INSERT INTO outbox (row, sink, topic, payload, queued) VALUES (?, ?, ?, ?, ?)", rows)
    store = Store(path, sinks=TO_MQTT)
    store._disk.database.execute("PRAGMA query_only=ON")  # type: ignore[union-attr]
    store.delivered(range(1, 33_991))
    assert store.problem is not None
    assert [one.row for one in store.waiting("mqtt", 0, 20)] == list(range(33_991, 34_001))
    assert store.count_waiting() == store.count_waiting("mqtt") == 10


def test_with_a_full_disk_memory_is_bounded_and_keeps_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "events.db", sinks=TO_MQTT)
    fill(store)
    for number in range(HELD + 500):
        store.commit([event(number)], "t")
    waiting = ids(store)
    assert waiting[-1] == f"id-{HELD + 499}"
    assert HELD <= len(waiting) < HELD + 50  # the file had room for a few
    assert store.dropped == HELD + 500 - len(waiting)
    free(store)
    monkeypatch.setattr("asit_edge.store.disk.RETRY_DISK", 0.0)
    store.tend()
    assert ids(store) == waiting


def test_a_read_only_disk_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asit_edge.store.disk.RETRY_DISK", 0.0)
    store = Store(tmp_path / "events.db", sinks=TO_MQTT)
    store._disk.database.execute("PRAGMA query_only=ON")  # type: ignore[union-attr]
    store.commit([event()], "t")
    assert "readonly" in str(store.problem)
    assert ids(store) == ["id-0"]
    store._disk.database.execute("PRAGMA query_only=OFF")  # type: ignore[union-attr]
    store.tend()
    assert store.problem is None
    store.close()
    assert ids(Store(tmp_path / "events.db", sinks=TO_MQTT)) == ["id-0"]


def test_a_store_that_cannot_be_opened_at_first_takes_over_what_was_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asit_edge.store.disk.RETRY_DISK", 0.0)
    path = tmp_path / "disk" / "events.db"
    first = Store(path, sinks=TO_MQTT)
    first.commit([event(0), event(1)], "t")
    first.close()
    (tmp_path / "disk").rename(tmp_path / "unplugged")
    (tmp_path / "disk").write_text("a file where the folder should be", encoding="utf-8")
    store = Store(path, sinks=TO_MQTT)
    assert store.problem is not None
    store.commit([event(2)], "t")
    [told] = store.waiting("mqtt", 0, 10)
    (tmp_path / "disk").unlink()
    (tmp_path / "unplugged").rename(tmp_path / "disk")
    store.tend()
    assert store.problem is None
    assert ids(store) == ["id-0", "id-1", "id-2"]
    store.delivered([told.row])
    assert ids(store) == ["id-0", "id-1"]
    with sqlite3.connect(path) as database:
        numbers = [seq for (seq,) in database.execute("SELECT seq FROM event ORDER BY seq")]
    assert numbers == [1, 2, Event.model_validate_json(told.payload).seq], "as it was told"
    assert store.commit([event(3)], "t")[0].seq == numbers[-1] + 1


def test_damage_that_shows_while_listening_costs_no_event_that_can_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.db"
    store = Store(path, sinks=TO_MQTT)
    store.commit([event(number) for number in range(1000)], "t")
    store._disk.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
    store._disk.database.execute("PRAGMA cache_size=0")  # type: ignore[union-attr]
    store._disk.database.execute("PRAGMA shrink_memory")  # type: ignore[union-attr]
    spoil(path, path.stat().st_size * 3 // 4 // 4096 * 4096, 8192)
    with caplog.at_level(logging.ERROR):
        assert len(store.waiting("mqtt", 0, 2000)) >= 960
        assert store.commit([event(1000)], "t")[0].seq == 1001
    assert "is damaged" in caplog.text
    assert ids(store)[-1] == "id-1000"


def test_what_fails_half_way_leaves_nothing_behind_and_rests_before_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path / "events.db")

    def note(topic: str) -> Callable[[sqlite3.Connection], str]:
        def change(database: sqlite3.Connection) -> str:
            database.execute("INSERT INTO retained (topic) VALUES (?)", (topic,))
            if topic == "bad":
                raise sqlite3.OperationalError("disk I/O error")
            return topic

        return change

    assert disk.write(note("a"), durable=True) == "a"
    assert disk.write(note("bad"), durable=True) is None
    assert disk.problem == f"store.path {tmp_path / 'events.db'}: cannot be written (disk I/O error)"
    assert disk.write(note("b"), durable=True) is None, "it rests"
    assert disk.read("SELECT topic FROM retained") == [("a",)], "reading goes on"
    assert disk.write(note("b"), durable=True, at_once=True) == "b"
    assert disk.problem is None
    disk.close()
    assert disk.write(note("c"), durable=True, at_once=True) is None
    assert disk.read("SELECT topic FROM retained") == []
