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

from asit_edge.messages.event import Event
from asit_edge.store.store import Store
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
