"""Workers: none delays another, and whatever happens a queue goes on."""

import json
import logging
import time
from pathlib import Path

import pytest

from asit_edge.config.delivery import CommandSink, FileSink, WebhookSink
from asit_edge.deliver.sinks.opening import open_worker
from asit_edge.deliver.sinks.worker import Worker
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
    with caplog.at_level(logging.INFO):
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
