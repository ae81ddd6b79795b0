"""Workers: none delays another, and whatever happens a queue goes on."""

import json
import logging
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from asit_edge.config.delivery import CommandSink, FileSink, WebhookSink
from asit_edge.deliver.opening import open_worker
from asit_edge.deliver.sinks.base import Refused, Unavailable
from asit_edge.deliver.sinks.worker import Worker
from asit_edge.store.rows import Outgoing
from asit_edge.store.store import Store
from tests.deliver.sinks.parts import Server, script
from tests.integration.mosquitto import wait_for
from tests.store.samples import event


def test_a_dead_sink_delays_no_other_and_gets_all_of_it_when_it_is_back(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("asit_edge.deliver.sinks.worker.FIRST_PAUSE", 0.05)
    monkeypatch.setattr("asit_edge.deliver.sinks.worker.LONGEST_PAUSE", 0.1)
    store = Store(
        tmp_path / "events.db", sinks={"log": lambda _: True, "hook": lambda _: True, "siren": lambda _: True}
    )
    log = tmp_path / "later" / "events.jsonl"
    refuses = script(tmp_path / "refuses", "exit 1")
    workers = [
        open_worker(FileSink(type="file", name="log", path=log), store),
        open_worker(WebhookSink(type="webhook", name="hook", url=server.url), store),
        open_worker(CommandSink(type="command", name="siren", run=[str(refuses)]), store),
    ]
    with caplog.at_level(logging.INFO, "asit_edge"):
        for worker in workers:
            worker.start()
        written = store.commit([event(number) for number in range(20)], "mic/event")
        for worker in workers:
            worker.wake()
        wait_for(lambda: len(server.requests) == 20, 10, "the webhook has all")
        wait_for(lambda: store.count_waiting("siren") == 0, 10, "the siren refused all")
        assert store.count_waiting("log") == 20
        assert "No such file" in str(workers[0].problem)
        assert not workers[0].drain(5), "and nobody waits for it"
        log.parent.mkdir()
        wait_for(lambda: store.count_waiting("log") == 0, 10, "the file has all")
    assert [body["id"] for _, _, body in server.requests] == [f"id-{number}" for number in range(20)]
    assert log.read_text().splitlines() == [one.to_json() for one in written]
    assert [(one.sink, one.topic) for one in store.refusals()] == [("siren", "mic/event")] * 20
    assert caplog.text.count("events wait in the store") == 1, "said once"
    assert "log: takes events again" in caplog.text
    for worker in workers:
        worker.stop()


def test_what_is_told_late_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "events.db", sinks={"x": lambda _: True})
    store.commit([event(0)], "mic/event")
    now = time.time()
    monkeypatch.setattr("asit_edge.deliver.sinks.worker.time.time", lambda: now + 60)
    got: list[str] = []
    worker = Worker("x", got.append, store)
    worker.start()
    assert worker.drain(10)
    worker.stop()
    assert json.loads(got[0])["replayed"] is True


def test_a_sink_that_breaks_in_an_unforeseen_way_goes_on_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "asit_edge")
    monkeypatch.setattr("asit_edge.deliver.sinks.worker.FIRST_PAUSE", 0.02)
    store = Store(tmp_path / "events.db", sinks={"x": lambda _: True})
    got: list[str] = []

    def send(payload: str) -> None:
        if len(seen) < 3:
            seen.append(payload)
            raise KeyError("surprise")
        got.append(payload)

    seen: list[str] = []
    worker = Worker("x", send, store)
    worker.start()
    store.commit([event(0)], "mic/event")
    worker.wake()
    wait_for(lambda: len(got) == 1, 10, "the event is tried again")
    worker.stop()
    assert worker.problem is None
    assert len(seen) == 3
    assert caplog.messages == ["x: KeyError: 'surprise'; events wait in the store"]


def test_what_is_refused_for_good_is_kept_with_its_reason_and_does_not_block_the_next(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db", sinks={"x": lambda _: True})
    store.commit([event(0), event(1)], "mic/event")
    got: list[str] = []

    def send(payload: str) -> None:
        if json.loads(payload)["id"] == "id-0":
            raise Refused("nobody wants it")
        got.append(payload)

    worker = Worker("x", send, store)
    worker.start()
    assert worker.drain(10)
    worker.stop()
    assert [json.loads(one)["id"] for one in got] == ["id-1"]
    kept = sqlite3.connect(tmp_path / "events.db").execute("SELECT payload, reason FROM dead_letter").fetchall()
    assert [(json.loads(payload)["id"], reason) for payload, reason in kept] == [("id-0", "nobody wants it")]


def test_what_waited_for_ten_seconds_is_not_late_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[str] = []
    worker = Worker("x", got.append, Store(tmp_path / "events.db", sinks={"x": lambda _: True}))
    monkeypatch.setattr("asit_edge.deliver.sinks.worker.time.time", lambda: 1010.0)
    for queued in (1000.0, 999.5):
        worker._hand_over(Outgoing(1, "mic/event", event(0).to_json(), queued))
    assert [json.loads(one)["replayed"] for one in got] == [False, True]


class Told(threading.Event):
    """Waits until it is set, or for a minute; remembers for how long it was to wait. `at_once`: does not wait."""

    def __init__(self, *, at_once: bool = False) -> None:
        super().__init__()
        self.waits: list[float | None] = []
        self._at_once = at_once

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return self.is_set() if self._at_once else super().wait(60)


def test_it_sleeps_while_there_is_nothing_and_wakes_when_it_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db", sinks={"x": lambda _: True})
    got: list[str] = []
    worker = Worker("x", got.append, store)
    worker._news = told = Told()
    worker.start()
    wait_for(lambda: told.waits == [1.0], 10, "it waits, and looks for itself after a second")
    for number in range(3):
        store.commit([event(number)], "mic/event")
        worker.wake()
        wait_for(lambda number=number: len(told.waits) == number + 2, 10, "it has delivered, and waits again")
        assert len(got) == number + 1
    worker.stop()
    assert not worker._thread.is_alive(), "nor does the end wait for news"


def test_pauses_double_up_to_a_minute_and_begin_anew_when_something_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("asit_edge.backoff.random.uniform", lambda _low, high: high)
    store = Store(tmp_path / "events.db", sinks={"x": lambda _: True})
    store.commit([event(0), event(1)], "mic/event")
    attempts = 0

    def send(_payload: str) -> None:
        nonlocal attempts
        attempts += 1
        if attempts not in (9, 10):
            raise Unavailable("nobody is there")

    worker = Worker("x", send, store)
    worker._stopping = pauses = Told(at_once=True)

    def has_paused(times: int) -> bool:
        if len(pauses.waits) < times:
            return False
        pauses.set()
        return True

    with caplog.at_level(logging.INFO, "asit_edge"):
        worker.start()
        wait_for(lambda: store.count_waiting() == 0, 10, "both are taken")
        store.commit([event(2)], "mic/event")
        worker.wake()
        wait_for(lambda: has_paused(9), 10, "it is away again")
        worker.stop()
    assert pauses.waits[:9] == [1, 2, 4, 8, 16, 32, 60, 60, 1]
    assert worker.problem == "nobody is there"
    said = ["nobody is there; events wait in the store", "takes events again"]
    assert caplog.messages == [f"x: {one}" for one in (*said, said[0])], "once each time, not at every attempt"


def test_the_end_waits_as_long_as_told_for_a_sink_that_hangs_and_takes_nothing_after_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db", sinks={"x": lambda _: True})
    store.commit([event(number) for number in range(3)], "mic/event")
    got: list[str] = []
    hangs = threading.Event()

    def send(payload: str) -> None:
        got.append(payload)
        hangs.wait(8)

    worker = Worker("x", send, store)
    worker.start()
    wait_for(lambda: got, 10, "the first is on its way")
    began = time.monotonic()
    assert not worker.drain(0.2)
    assert 0.2 <= time.monotonic() - began < 4
    assert not worker.drain(0)
    threading.Timer(0.2, hangs.set).start()
    worker.stop()
    assert not worker._thread.is_alive()
    assert (len(got), store.count_waiting()) == (1, 2), "what was on its way is done, the rest stays"


def test_a_sink_that_was_never_started_is_ended_in_peace(tmp_path: Path) -> None:
    worker = Worker("x", lambda _: None, Store(tmp_path / "events.db", sinks={"x": lambda _: True}))
    assert worker.drain(0), "nothing waits"
    worker.stop()
