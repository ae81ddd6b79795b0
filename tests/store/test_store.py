"""The store: committed before announced, in the outbox until taken, bounded, and there after a kill -9."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asit_edge.messages.event import Event, ModelName
from asit_edge.messages.report import Gap
from asit_edge.store.database import NotAStore
from asit_edge.store.notes import HELD
from asit_edge.store.store import Store

TO_MQTT = {"mqtt": lambda _: True}


def event(number: int = 0, source: str = "mic") -> Event:
    return Event(
        schema=1,
        type="new",
        id=f"id-{number}",
        device="hall",
        source=source,
        label="Dog",
        label_id="/m/0bt9lr",
        score=0.9,
        peak=0.9,
        onset="2026-01-01T00:00:00.000Z",
        offset=None,
        duration=None,
        onset_epoch=1767225600.0,
        latency_ms=100,
        seq=0,
        replayed=False,
        clip=None,
        model=ModelName(name="m", version="1"),
    )


def gap() -> Gap:
    return Gap.model_validate(
        {
            "schema": 1,
            "device": "hall",
            "source": "mic",
            "from": "2026-01-01T00:00:00.000Z",
            "to": "2026-01-01T00:00:01.000Z",
            "duration": 1.0,
            "cause": "overrun",
        }
    )


def ids(store: Store, sink: str = "mqtt") -> list[str]:
    return [Event.model_validate_json(one.payload).id for one in store.waiting(sink, 0, 10**6)]


def test_events_are_numbered_and_queued_in_order(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "events.db", sinks=TO_MQTT)
    written = store.commit([event(0), event(1)], "mic/event") + store.commit([event(2)], "mic/event")
    assert [one.seq for one in written] == [1, 2, 3]
    waiting = store.waiting("mqtt", 0, 10)
    assert [(one.topic, one.payload) for one in waiting] == [("mic/event", one.to_json()) for one in written]
    assert store.waiting("mqtt", waiting[0].row, 1) == [waiting[1]]
    assert store.waiting("mqtt", 0, 10, up_to=waiting[1].row) == waiting[:2]


def test_taken_messages_leave_and_refused_ones_block_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db", sinks=TO_MQTT)
    store.commit([event(number) for number in range(4)], "t")
    rows = [one.row for one in store.waiting("mqtt", 0, 10)]
    store.delivered(rows[:1])
    store.refuse(rows[1], "Not authorized")
    assert [one.row for one in store.waiting("mqtt", 0, 10)] == rows[2:]
    assert store.count_waiting() == 2
    assert store.refusals() == [("mqtt", "t", "Not authorized")]
    assert store.refused == 1


def test_every_sink_has_a_queue_of_its_own_and_gets_what_it_wants(tmp_path: Path) -> None:
    store = Store(
        tmp_path / "events.db", sinks={"mqtt": lambda _: True, "siren": lambda message: isinstance(message, Event)}
    )
    store.commit([event(0)], "mic/event")
    store.post("mic/gap", gap())
    assert [one.topic for one in store.waiting("mqtt", 0, 10)] == ["mic/event", "mic/gap"]
    assert [one.topic for one in store.waiting("siren", 0, 10)] == ["mic/event"]
    store.delivered([one.row for one in store.waiting("siren", 0, 10)])
    assert (store.count_waiting("mqtt"), store.count_waiting("siren")) == (2, 0)


def test_it_is_known_which_messages_wait_since_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "events.db", sinks=TO_MQTT)
    assert store.last_row_before("mqtt", time.time()) == 0
    for moment in (100.0, 200.0, 300.0):
        monkeypatch.setattr("asit_edge.store.store.time.time", lambda moment=moment: moment)
        store.commit([event()], "t")
    assert [store.last_row_before("mqtt", moment) for moment in (50.0, 100.0, 250.0, 1e9)] == [0, 1, 2, 3]


def test_without_sinks_only_the_history_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db")
    assert store.commit([event()], "t")[0].seq == 1
    assert store.count_waiting() == 0


def test_what_waits_for_a_sink_that_is_not_configured_now_waits_on_within_the_bound(tmp_path: Path) -> None:
    first = Store(tmp_path / "events.db", keep=100, sinks={"siren": lambda _: True})
    first.commit([event(number) for number in range(150)], "t")
    first.close()
    second = Store(tmp_path / "events.db", keep=100, sinks=TO_MQTT)
    second.commit([event(150)], "t")
    assert second.count_waiting("siren") == 100
    assert ids(second) == ["id-150"]


def test_two_listeners_do_not_share_a_store(tmp_path: Path) -> None:
    first = Store(tmp_path / "events.db")
    with pytest.raises(NotAStore, match="another asit-edge listens with this store"):
        Store(tmp_path / "events.db")
    first.close()
    Store(tmp_path / "events.db").close()


def test_numbering_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    first = Store(path, sinks=TO_MQTT)
    first.commit([event(0), event(1)], "t")
    first.delivered([one.row for one in first.waiting("mqtt", 0, 10)][1:])
    first.close()
    second = Store(path, sinks=TO_MQTT)
    assert second.count_waiting() == 1
    assert second.commit([event(2)], "t")[0].seq == 3
    assert [one.row for one in second.waiting("mqtt", 0, 10)] == [1, 3]


def test_the_topics_that_the_broker_keeps_are_remembered(tmp_path: Path) -> None:
    first = Store(tmp_path / "events.db")
    first.remember_retained(["a", "b"])
    first.remember_retained(["b", "c"])
    first.close()
    assert Store(tmp_path / "events.db").retained() == {"b", "c"}


def test_the_bound_drops_the_oldest_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path / "events.db", keep=100, sinks=TO_MQTT)
    with caplog.at_level(logging.WARNING):
        for number in range(103):
            store.commit([event(number)], "t")
    assert store.count_waiting() == 100
    assert store.waiting("mqtt", 0, 1)[0].row == 4
    assert store.dropped == 3
    assert "1 undelivered message(s) dropped so far" in caplog.text


def test_what_is_too_old_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asit_edge.store.store.TIDY_SECONDS", -1.0)
    store = Store(tmp_path / "events.db", max_days=1, sinks=TO_MQTT)
    store.commit([event()], "t")
    now = time.time()
    monkeypatch.setattr("asit_edge.store.store.time.time", lambda: now + 2 * 86_400)
    store.commit([event(1).model_copy(update={"onset_epoch": now + 2 * 86_400})], "t")
    store.tend()
    assert ids(store) == ["id-1"]
    assert store.dropped == 1


def test_the_file_does_not_outgrow_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = Store(path, keep=1000, max_mb=1, sinks=TO_MQTT)
    for number in range(200):
        store.commit([event(10 * number + i) for i in range(10)], "t")
    assert path.stat().st_size < 1.2e6
    assert store.dropped > 0
    assert ids(store)[-1] == "id-1999", "the newest are kept"


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


# Disks that fail.


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
    assert store.commit([event(3)], "t")[0].seq == 4


def spoil(path: Path, offset: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * length)


def damaged_store(path: Path, count: int, *, spoil_at: int | None) -> None:
    """A file that was not closed, of `count` events, with a page in the middle (or the first one) spoilt."""
    store = Store(path, sinks=TO_MQTT)
    for first in range(0, count, 50):
        store.commit([event(number) for number in range(first, first + 50)], "mic/event")
    store._disk.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
    store._disk.database.close()  # type: ignore[union-attr]
    spoil(path, spoil_at if spoil_at is not None else path.stat().st_size // 8192 * 4096, 4096)


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


def test_what_was_committed_survives_kill_9(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.store.test_store import TO_MQTT, event\n"
        "from asit_edge.store.store import Store\n"
        "store = Store(Path(sys.argv[1]), sinks=TO_MQTT)\n"
        "for number in range(10**6):\n"
        "    print(store.commit([event(number)], 't')[0].seq, flush=True)\n"
    )
    path = tmp_path / "events.db"
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(20):
        announced = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    announced = max([announced, *map(int, process.stdout.read().split("\n")[:-1])])
    process.wait()
    waiting = Store(path, sinks=TO_MQTT).waiting("mqtt", 0, 10**6)
    assert len(waiting) >= announced
    assert [one.row for one in waiting] == list(range(1, len(waiting) + 1))
