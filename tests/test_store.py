"""The store: committed before announced, in the outbox until acknowledged, bounded, and there after a kill -9."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from asit_edge.errors import AsitEdgeError
from asit_edge.event import Event, ModelName
from asit_edge.store import Store


def event(number: int = 0) -> Event:
    return Event(
        schema=1,
        type="new",
        id=f"id-{number}",
        device="hall",
        source="mic",
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


def test_events_are_numbered_and_queued_in_order(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "events.db")
    written = store.commit([event(0), event(1)], "mic/event") + store.commit([event(2)], "mic/event")
    assert [one.seq for one in written] == [1, 2, 3]
    waiting = store.waiting(0, 10)
    assert [(one.topic, one.payload) for one in waiting] == [("mic/event", one.to_json()) for one in written]
    assert store.waiting(waiting[0].row, 1) == [waiting[1]]


def test_acknowledged_messages_leave_and_refused_ones_block_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db")
    store.commit([event(number) for number in range(4)], "t")
    rows = [one.row for one in store.waiting(0, 10)]
    store.delivered(rows[:1])
    store.refuse(rows[1], "Not authorized")
    assert [one.row for one in store.waiting(0, 10)] == rows[2:]
    assert store.count_waiting() == 2
    assert store.refusals() == [("t", "Not authorized")]


def test_without_a_broker_only_the_history_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db", queue=False)
    assert store.commit([event()], "t")[0].seq == 1
    assert store.count_waiting() == 0


def test_numbering_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    first = Store(path)
    first.commit([event(0), event(1)], "t")
    first.close()
    second = Store(path)
    assert second.count_waiting() == 2
    assert second.commit([event(2)], "t")[0].seq == 3


def test_the_bound_drops_the_oldest_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path / "events.db", keep=100)
    with caplog.at_level(logging.WARNING):
        for number in range(103):
            store.commit([event(number)], "t")
    assert store.count_waiting() == 100
    assert store.waiting(0, 1)[0].row == 4
    assert "1 undelivered message(s) dropped" in caplog.text


def test_a_failed_commit_leaves_nothing_behind(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db")
    broken = event().model_copy(update={"label": object()})
    with pytest.raises(AsitEdgeError, match=r"events\.db: cannot be used"):
        store.commit([event(), broken], "t")
    assert store.count_waiting() == 0
    assert store.commit([event()], "t")[0].seq == 1


@pytest.mark.parametrize(
    "content", [b"this is not a database, but long enough to look at" * 40, b"SQLite format 3\0" + b"x" * 4080]
)
def test_a_file_that_is_no_store_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(content)
    with pytest.raises(AsitEdgeError, match=r"store\.path .*events\.db: cannot be used"):
        Store(path)
    assert path.read_bytes() == content


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version=99")
    with pytest.raises(AsitEdgeError, match="schema 99"):
        Store(path)


def test_what_was_committed_survives_kill_9(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.test_store import event; from asit_edge.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
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
    waiting = Store(path).waiting(0, 10**6)
    assert len(waiting) >= announced
    assert [one.row for one in waiting] == list(range(1, len(waiting) + 1))
