"""Notifications out of the outbox: tried again, held back, refused; what is held back is neither kept nor counted."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from asit_edge.config.notifications import NotificationSettings, NtfySink, PushoverSink, TelegramSink
from asit_edge.config.root import Config
from asit_edge.deliver.notify.notifier import open_notifier
from asit_edge.deliver.opening import open_worker
from asit_edge.deliver.routes import routes
from asit_edge.deliver.sinks import worker as workers
from asit_edge.deliver.sinks.worker import Worker
from asit_edge.messages.event import Event
from asit_edge.store.store import Store
from tests.deliver.notify.services import SECRETS, NtfyServer, PushoverServer, Reply, TelegramServer
from tests.integration.mosquitto import wait_for
from tests.store.samples import event


def heard(number: int = 0, age: float = 0.1, **more: object) -> Event:
    """So many seconds ago."""
    return event(number).model_copy(update={"onset_epoch": time.time() - age, "latency_ms": 0, **more})


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(workers, "LONGEST_PAUSE", 0.1)


def store_for(folder: Path, *sinks: NotificationSettings) -> Store:
    return Store(folder / "events.db", sinks=routes(Config(sinks=list(sinks))))


def test_what_is_held_back_leaves_the_outbox_and_is_not_refused(
    tmp_path: Path, ntfy: NtfyServer, to_ntfy: Callable[..., NtfySink], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "asit_edge")
    settings = to_ntfy(quiet_hours=[{"begin": "00:00", "end": "23:59", "labels": ["Cat"]}], min_score=0.5)
    store = store_for(tmp_path, settings)
    worker = open_worker(settings, store)
    worker.start()
    store.commit(
        [
            heard(0),
            heard(1),  # too soon after it
            heard(2, label="Cat", onset_epoch=0.0),  # too old, whatever the time of day
            heard(3, label="Door", peak=0.4, score=0.4),
            heard(4, label="Cow", age=601.0),
            heard(5, label="Bell"),
        ],
        "mic/event",
    )
    worker.wake()
    assert worker.drain(10)
    worker.stop()
    assert [one["title"] for one in ntfy.messages] == ["Dog", "Bell"]
    assert (store.count_waiting(), store.refusals(), store.refused, store.dropped) == (0, [], 0, 0)
    assert worker.problem is None
    reasons = [message.partition("there: ")[2] for message in caplog.messages if "is not told there" in message]
    assert reasons[0].startswith("another 'Dog' was told 0 s ago")
    assert [reason.partition(" is ")[0] for reason in reasons[1:]] == ["it", "it"]
    assert not any(secret in caplog.text for secret in SECRETS)


def test_a_server_that_is_back_gets_what_is_not_late_yet(
    tmp_path: Path, ntfy: NtfyServer, to_ntfy: Callable[..., NtfySink], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "asit_edge")
    ntfy.replies = [Reply(503), Reply(401, {"error": "unauthorized"}), Reply(401, {"error": "unauthorized"})]
    settings = to_ntfy()
    store = store_for(tmp_path, settings)
    store.commit([heard(0), heard(1, label="Cat")], "mic/event")
    worker = open_worker(settings, store)
    worker.start()
    wait_for(lambda: store.count_waiting() == 0, 10, "both are taken")
    worker.stop()
    assert [one["title"] for one in ntfy.messages] == 4 * ["Dog"] + ["Cat"]
    said = [
        f"ntfy: {ntfy.url} answered 503 Service Unavailable; events wait in the store",
        f"ntfy: {ntfy.url} answered 401 unauthorized; check sinks.ntfy.token_file, or the user in sinks.ntfy.server; "
        "events wait in the store",
        "ntfy: takes events again",
    ]
    assert caplog.messages == said, "each once"


def test_what_grows_old_while_a_server_is_away_says_nothing_about_it(
    tmp_path: Path, to_ntfy: Callable[..., NtfySink], ntfy: NtfyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Or an unreachable server would be told to be back, and away, at each event that is given up."""
    caplog.set_level(logging.INFO, "asit_edge")
    ntfy.replies = [Reply(503) for _ in range(1_000)]
    settings = to_ntfy()
    store = store_for(tmp_path, settings)
    worker = open_worker(settings, store)
    store.commit([heard(number, age=599.0 - number) for number in range(3)], "mic/event")
    worker.start()
    wait_for(lambda: store.count_waiting() == 0, 20, "all three grow old")
    worker.stop()
    assert len(caplog.messages) == 1, "said once"
    assert worker.problem is not None
    assert store.refused == 0


def test_a_message_that_is_wrong_is_refused_and_the_next_one_comes(
    tmp_path: Path, pushover: PushoverServer, to_pushover: Callable[..., PushoverSink]
) -> None:
    pushover.replies = [Reply(400, {"message": "invalid", "errors": ["message is not UTF-8"], "status": 0})]
    settings = to_pushover()
    store = store_for(tmp_path, settings)
    store.commit([heard(0), heard(1, label="Cat")], "mic/event")
    worker = open_worker(settings, store)
    worker.start()
    wait_for(lambda: store.count_waiting() == 0, 10, "both are dealt with")
    worker.stop()
    assert [(one.sink, one.reason) for one in store.refusals()] == [
        ("pushover", f"{pushover.url} answered 400 message is not UTF-8")
    ]
    assert [one["title"] for one in pushover.messages] == ["Dog", "Cat"]


def test_it_is_not_asked_again_before_it_said_so(
    tmp_path: Path, telegram: TelegramServer, to_telegram: Callable[..., TelegramSink]
) -> None:
    again = {"ok": False, "description": "Too Many Requests: retry after 2", "parameters": {"retry_after": 2}}
    telegram.replies = [Reply(429, again)]
    settings = to_telegram()
    store = store_for(tmp_path, settings)
    store.commit([heard(0)], "mic/event")
    worker = open_worker(settings, store)
    began = time.monotonic()
    worker.start()
    wait_for(lambda: store.count_waiting() == 0, 10, "it is taken")
    worker.stop()
    assert time.monotonic() - began > 1.9
    assert len(telegram.requests) == 2


def test_the_end_does_not_wait_for_a_server_that_asked_for_an_hour(
    tmp_path: Path, ntfy: NtfyServer, to_ntfy: Callable[..., NtfySink]
) -> None:
    ntfy.replies = [Reply(429, None, {"Retry-After": "3600"})]
    settings = to_ntfy()
    store = store_for(tmp_path, settings)
    store.commit([heard(0)], "mic/event")
    worker = open_worker(settings, store)
    worker.start()
    wait_for(lambda: worker.problem, 10, "it asks for an hour")
    began = time.monotonic()
    assert not worker.drain(5)
    worker.stop()
    assert time.monotonic() - began < 4
    assert (store.count_waiting(), len(ntfy.requests)) == (1, 1)


def test_nobody_is_left_in_peace_for_longer_than_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    worker = Worker("x", lambda _: None, Store(None, sinks={"x": lambda _: True}))
    monkeypatch.setattr(worker._stopping, "wait", waits.append)
    worker._rest("asks for 30 years", 1e9)
    worker._rest("asks for nothing")
    assert waits[0] == workers.LONGEST_WAIT
    assert waits[1] < 1


def test_a_new_run_knows_nothing_of_the_last_ones_cooldown(
    tmp_path: Path, ntfy: NtfyServer, to_ntfy: Callable[..., NtfySink]
) -> None:
    for number in range(2):
        open_notifier(to_ntfy(cooldown=3_600)).send(heard(number).to_json())
    assert len(ntfy.messages) == 2


def test_a_score_that_is_reached_later_is_told_with_the_message_that_says_so(
    tmp_path: Path, ntfy: NtfyServer, to_ntfy: Callable[..., NtfySink]
) -> None:
    settings = to_ntfy(min_score=0.8, message="{peak} {type}")
    store = store_for(tmp_path, settings)
    worker = open_worker(settings, store)
    worker.start()
    for kind, peak in (("new", 0.5), ("update", 0.7), ("update", 0.85), ("update", 0.95), ("end", 0.95)):
        store.commit([heard(0, type=kind, peak=peak)], "mic/event")
    worker.wake()
    assert worker.drain(10)
    worker.stop()
    assert [one["message"] for one in ntfy.messages] == ["0.85 update"]
    assert json.loads(ntfy.requests[0].body)["title"] == "Dog"
