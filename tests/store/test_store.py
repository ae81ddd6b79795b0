"""The store: committed before announced, in the outbox until taken, bounded, and there after a kill -9."""

import contextlib
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from asit_edge.messages.event import Event
from asit_edge.store.store import Store
from asit_edge.store.wishes import leave, requeue
from tests.store.samples import TO_MQTT, event, gap, ids


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


class Clocks:
    """The wall clock, which may jump, and the steady one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.steady = time.time(), 100.0
        monkeypatch.setattr("asit_edge.store.store.TIDY_SECONDS", -1e9)
        monkeypatch.setattr("asit_edge.store.bounds.time", self)

    def time(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def run(self, store: Store, seconds: float) -> None:
        """The store is tended as by a listener, now and then."""
        for _ in range(100):
            self.wall += seconds / 100
            self.steady += seconds / 100
            store.tend()


DAY = 86_400


def seqs(path: Path) -> list[int]:
    with sqlite3.connect(path) as database:
        return [seq for (seq,) in database.execute("SELECT seq FROM event ORDER BY seq")]


def test_what_is_too_old_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch)
    store = Store(tmp_path / "events.db", max_days=1, sinks=TO_MQTT)
    store.commit([event()], "t")
    store.tend()
    clocks.run(store, 0.9 * DAY)
    store.commit([event(1)], "t")
    assert ids(store) == ["id-0", "id-1"]
    clocks.run(store, 0.15 * DAY)
    assert ids(store) == ["id-1"]
    assert store.dropped == 1
    assert seqs(tmp_path / "events.db") == [2]


@pytest.mark.parametrize("jump", [1000, 2, -1000])
def test_a_clock_that_jumps_makes_nothing_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: int) -> None:
    clocks = Clocks(monkeypatch)
    store = Store(tmp_path / "events.db", max_days=7, sinks=TO_MQTT)
    store.commit([event(0), event(1)], "t")
    clocks.wall += jump * DAY
    clocks.run(store, 0.1 * DAY)
    assert ids(store) == ["id-0", "id-1"]
    store.close()
    clocks.wall -= 2 * jump * DAY  # and back, and further, while it is off
    clocks.steady = 5.0  # another process
    again = Store(tmp_path / "events.db", max_days=7, sinks=TO_MQTT)
    clocks.run(again, 0.1 * DAY)
    clocks.wall += 2 * jump * DAY
    clocks.run(again, 0.1 * DAY)
    assert ids(again) == ["id-0", "id-1"]
    assert seqs(tmp_path / "events.db") == [1, 2]
    clocks.run(again, 7 * DAY)
    assert ids(again) == [], "time that has passed does"


def test_the_time_between_runs_counts_within_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorder that is on for an hour a day does not keep a week's events for half a year."""
    clocks = Clocks(monkeypatch)
    for day in range(20):
        store = Store(tmp_path / "events.db", max_days=7, sinks=TO_MQTT)
        store.commit([event(day)], "t")
        clocks.run(store, DAY / 24)
        waiting = ids(store)
        store.close()
        clocks.wall += 23 * DAY / 24
        clocks.steady = 0.0
    assert waiting[-1] == "id-19"
    assert 7 <= len(waiting) <= 11


def test_numbers_that_jump_cost_no_history(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db", keep=100, sinks=TO_MQTT)
    store.commit([event(number) for number in range(90)], "t")
    store._numbers.jump()
    store.commit([event(number) for number in range(5)], "t")
    store.tend()
    assert len(seqs(tmp_path / "events.db")) == 95


def test_the_file_does_not_outgrow_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = Store(path, keep=1000, max_mb=1, sinks=TO_MQTT)
    for number in range(200):
        store.commit([event(10 * number + i) for i in range(10)], "t")
    assert path.stat().st_size < 1.2e6
    assert store.dropped > 0
    assert ids(store)[-1] == "id-1999", "the newest are kept"


def test_a_new_store_knows_of_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db", sinks=TO_MQTT)
    assert (store.problem, store.refused, store.dropped, store.last_row) == (None, 0, 0, 0)
    assert (store.retained(), store.refusals(), store.unfinished(), store.waiting("mqtt", 0, 9)) == (set(), [], [], [])
    store.commit([event(0), event(1)], "t")
    assert store.last_row == 2


def test_the_last_of_every_event_that_has_not_ended_is_found_in_order(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db")
    for number, kind in ((0, "new"), (1, "new"), (2, "new"), (1, "update"), (0, "end"), (3, "new"), (3, "end")):
        store.commit([event(number).model_copy(update={"type": kind})], "t")
    assert [(one.id, one.type, one.seq) for one in store.unfinished()] == [("id-2", "new", 3), ("id-1", "update", 4)]


def refused(store: Store, *reasons: str, topic: str = "t") -> None:
    """A message for each reason, refused for it."""
    for number, reason in enumerate(reasons):
        store.commit([event(number)], topic)
        store.refuse(store.last_row, reason)


def test_what_was_refused_for_one_reason_can_be_queued_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db", sinks=TO_MQTT)
    refused(store, "denied", "too large", "denied", "denied")
    refused(store, "denied", topic="u")
    assert store.refused_topics("mqtt", "denied") == {"t", "u"}
    assert store.refused_topics("mqtt", "too large") == {"t"}
    assert store.refused_topics("siren", "denied") == set()
    last = store.last_row
    assert store.requeue("siren", "t", "denied", 9) == 0
    assert store.requeue("mqtt", "t", "denied", 2) == 2
    assert ids(store) == ["id-0", "id-2"], "the oldest first"
    assert [one.row for one in store.waiting("mqtt", 0, 9)] == [last + 1, last + 2], "behind all that has gone before"
    assert (store.refused, store.last_row, len(store.refusals())) == (3, last + 2, 3)
    assert store.requeue("mqtt", "t", "denied", 9) == 1
    assert store.requeue("mqtt", "t", "denied", 9) == 0
    store.commit([event(9)], "t")
    assert ids(store) == ["id-0", "id-2", "id-3", "id-9"]
    store.close()
    again = Store(tmp_path / "events.db", sinks=TO_MQTT)
    assert (again.refused, ids(again)) == (2, ["id-0", "id-2", "id-3", "id-9"])


def test_a_refusal_of_what_is_not_there_is_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db", sinks=TO_MQTT)
    store.refuse(77, "no")
    assert (store.refused, store.refusals()) == (0, [])


def test_of_the_waiting_as_many_as_asked_for_and_those_up_to_a_row(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db", sinks=TO_MQTT)
    store.commit([event(number) for number in range(5)], "t")
    assert [one.row for one in store.waiting("mqtt", 1, 2)] == [2, 3]
    assert [one.row for one in store.waiting("mqtt", 1, 9, up_to=3)] == [2, 3]
    assert (store.count_waiting("mqtt", up_to=3), store.count_waiting(up_to=0), store.count_waiting("x")) == (3, 0, 0)


def test_the_bound_is_looked_at_after_a_hundredth_of_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db", keep=1_000, sinks=TO_MQTT)
    for first in range(0, 1_000, 10):
        store.commit([event(first + number) for number in range(10)], "t")
    for number in range(9):
        store.commit([event(number)], "t")
    assert (store.count_waiting(), store.dropped) == (1_009, 0)
    store.commit([event()], "t")
    assert (store.count_waiting(), store.dropped) == (1_000, 10)
    for number in range(9):
        store.commit([event(number)], "t")
    assert store.dropped == 10, "and then begins to count anew"


def test_the_history_is_bounded_too(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db", keep=100)
    for number in range(150):
        store.commit([event(number)], "t")
    assert [row[0] for row in store._disk.read("SELECT seq FROM event ORDER BY seq")] == list(range(51, 151))
    assert store.dropped == 0, "nobody was to get them"


def test_refusals_are_bounded_too(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db", keep=100, sinks=TO_MQTT)
    refused(store, *(f"reason {number}" for number in range(110)))
    store.commit([event()], "t")
    assert [one.reason for one in store.refusals()] == [f"reason {number}" for number in range(10, 110)]


def test_while_nothing_is_written_age_is_looked_at_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, now = time.monotonic(), time.time()
    clock = [0.0]
    monkeypatch.setattr("asit_edge.store.store.time.monotonic", lambda: begun + clock[0])
    monkeypatch.setattr("asit_edge.store.store.time.time", lambda: now + clock[0])
    store = Store(tmp_path / "events.db", max_days=50 / 86_400, sinks=TO_MQTT)
    store.commit([event(0)], "t")
    clock[0] = 30.0
    store.commit([event(1)], "t")  # which is no look at what is old
    found = []
    for clock[0] in (59.0, 60.0, 60.5):
        store.tend()
        found.append(store.count_waiting())
    assert found == [2, 2, 2], "from the first look on it is counted"
    for clock[0] in (115.0, 120.4, 121.0):
        store.tend()
        found.append(store.count_waiting())
    assert found[3:] == [2, 2, 0]
    assert store.dropped == 2


def test_what_is_dropped_is_said_at_first_and_at_every_thousand(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "events.db", keep=100, sinks=TO_MQTT)
    for first in range(0, 2_400, 10):
        store.commit([event(first + number) for number in range(10)], "t")
    assert [message.split()[0] for message in caplog.messages] == ["10", "1000", "2000"]


def test_whatever_is_told_to_the_store_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = Store(path, sinks=TO_MQTT)

    def on_disk() -> tuple[int, ...]:
        """Events, messages, refusals, retained topics, as another process sees them."""
        with contextlib.closing(sqlite3.connect(path)) as other:
            tables = ("event", "outbox", "dead_letter", "retained")
            return tuple(other.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)

    assert on_disk() == (0, 0, 0, 0)
    store.commit([event(0), event(1)], "t")
    assert on_disk() == (2, 2, 0, 0)
    store.post("mic/gap", gap())
    assert on_disk() == (2, 3, 0, 0)
    store.delivered([1])
    assert on_disk() == (2, 2, 0, 0)
    store.refuse(2, "no")
    assert on_disk() == (2, 1, 1, 0)
    store.requeue("mqtt", "t", "no", 9)
    assert on_disk() == (2, 2, 0, 0)
    store.remember_retained(["a", "b"])
    assert on_disk() == (2, 2, 0, 2)


def test_without_its_file_rows_are_behind_any_that_it_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("asit_edge.store.disk.RETRY_DISK", 0.0)
    folder = tmp_path / "folder"
    before = Store(folder / "events.db", sinks=TO_MQTT)
    refused(before, "no", "no")
    before.close()
    assert caplog.messages == []
    folder.rename(tmp_path / "away")
    folder.write_text("not a folder", encoding="utf-8")
    store = Store(folder / "events.db", sinks=TO_MQTT)
    assert store.problem is not None
    assert store.last_row > 1_000_000_000_000
    refused(store, "never")
    assert store.refused == 1
    folder.unlink()
    (tmp_path / "away").rename(folder)
    store.tend()
    assert store.problem is None
    assert (store.refused, len(store.refusals())) == (3, 3)


def test_what_memory_alone_has_is_lost_at_the_end_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder").write_text("not a folder", encoding="utf-8")
    Store(tmp_path / "folder" / "events.db", sinks=TO_MQTT).close()
    assert "lost" not in caplog.text, "of nothing, nothing"
    store = Store(tmp_path / "folder" / "events.db", sinks=TO_MQTT)
    store.commit([event(0), event(1)], "t")
    [first, second] = store.waiting("mqtt", 0, 9)
    assert store.last_row_before("mqtt", first.queued) in (first.row, second.row)
    assert store.last_row_before("mqtt", second.queued) == second.row, "since then, or longer"
    assert store.last_row_before("mqtt", first.queued - 1) == 0
    store.close()
    assert "2 message(s) are lost: store.path" in caplog.messages[-1]


def test_only_the_end_does_not_wait_for_a_disk_that_has_just_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "events.db", sinks=TO_MQTT)
    hurried = []
    write = store._disk.write

    def spy(change: Any, *, durable: bool, at_once: bool = False) -> Any:
        hurried.append((durable, at_once))
        return write(change, durable=durable, at_once=at_once)

    monkeypatch.setattr(store._disk, "write", spy)
    store.tend()
    assert hurried == [], "nothing to write is no transaction"
    store.commit([event()], "t")
    store.delivered([1])
    assert hurried == [(True, False), (False, False)], "a delivery that a power cut undoes is only a repetition"
    store.commit([event()], "t")
    store._notes.forget(2)
    store.close()
    assert hurried[-1] == (False, True)


def test_what_is_queued_once_more_is_synced_before_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "events.db", sinks=TO_MQTT)
    refused(store, "denied", "too large")
    assert store._disk.database is not None
    synced = []

    def spy(database: sqlite3.Connection, *which: Any) -> int:
        synced.append(database.execute("PRAGMA synchronous").fetchone()[0])
        return requeue(database, *which)

    monkeypatch.setattr("asit_edge.store.store.requeue", spy)
    store._disk.database.execute("PRAGMA synchronous=NORMAL")
    assert store.requeue("mqtt", "t", "denied", 9) == 1
    store._disk.database.execute("PRAGMA synchronous=NORMAL")
    leave(tmp_path / "events.db", None, None)
    assert store.grant_wishes() == {"mqtt"}
    assert synced == [2, 2], "FULL: a power cut would leave them refused, or a wish granted that was not"


def test_what_was_committed_survives_kill_9(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.store.samples import TO_MQTT, event\n"
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
