"""Sinks beside MQTT: webhook, command and file; what they take, what they refuse, and that none delays another."""

import json
import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from asit_edge.config.delivery import CommandSink, FileSink, WebhookSink
from asit_edge.deliver.sinks.base import Refused, Unavailable
from asit_edge.deliver.sinks.command import open_command
from asit_edge.deliver.sinks.file import open_file
from asit_edge.deliver.sinks.opening import open_worker
from asit_edge.deliver.sinks.webhook import open_webhook
from asit_edge.deliver.sinks.worker import Worker
from asit_edge.errors import WrongUse
from asit_edge.store.store import Store
from tests.integration.mosquitto import free_port, wait_for
from tests.store.samples import event

EVENT = event(7).to_json()


class Server:
    """An HTTP server that answers as it is told, and remembers what it was sent."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.requests: list[tuple[str, dict[str, str], dict[str, object]]] = []
        self.connections = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                outer.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(outer.answers.pop(0) if outer.answers else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/sounds?from=hall"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def test_a_webhook_posts_the_event_over_one_connection(server: Server, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n", encoding="utf-8")
    send = open_webhook(WebhookSink(type="webhook", url=server.url, token_file=token))
    send(EVENT)
    send(EVENT)
    path, headers, body = server.requests[0]
    assert path == "/sounds?from=hall"
    assert body == json.loads(EVENT)
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["Idempotency-Key"] == "id-7-new-0"
    assert server.connections == 1


@pytest.mark.parametrize("answer", [400, 413, 422])
def test_what_a_server_says_of_the_message_is_final(server: Server, answer: int) -> None:
    server.answers = [answer]
    with pytest.raises(Refused, match=f"answered {answer}"):
        open_webhook(WebhookSink(type="webhook", url=server.url))(EVENT)


@pytest.mark.parametrize("answer", [301, 401, 404, 429, 500, 503])
def test_what_may_be_put_right_is_tried_again(server: Server, answer: int) -> None:
    server.answers = [answer]
    with pytest.raises(Unavailable, match=f"answered {answer}"):
        open_webhook(WebhookSink(type="webhook", url=server.url))(EVENT)


def test_a_server_that_is_not_there_is_named() -> None:
    port = free_port()
    send = open_webhook(WebhookSink(type="webhook", url=f"http://user:secret@127.0.0.1:{port}/"))
    with pytest.raises(Unavailable, match=f"http://127.0.0.1:{port}: .*refused") as error:
        send(EVENT)
    assert "secret" not in str(error.value)


def test_an_idle_connection_that_the_server_has_closed_is_renewed(server: Server) -> None:
    send = open_webhook(WebhookSink(type="webhook", url=server.url))
    send(EVENT)
    send.__self__._connection.sock.shutdown(2)  # type: ignore[attr-defined]
    send(EVENT)
    assert len(server.requests) == 2


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_command_gets_the_event_and_its_facts(tmp_path: Path) -> None:
    program = script(tmp_path / "siren", f'cat > {tmp_path}/event; echo "$1 $ASIT_TYPE $ASIT_LABEL" > {tmp_path}/facts')
    open_command(CommandSink(type="command", run=[str(program), "--loud"]))(EVENT)
    assert (tmp_path / "event").read_text() == EVENT + "\n"
    assert (tmp_path / "facts").read_text() == "--loud new Dog\n"


def test_a_command_says_later_or_never_by_its_exit_code(tmp_path: Path) -> None:
    later = script(tmp_path / "later", "exit 75")
    never = script(tmp_path / "never", "echo no such siren >&2; exit 3")
    with pytest.raises(Unavailable, match="later ended with 75"):
        open_command(CommandSink(type="command", run=[str(later)]))(EVENT)
    with pytest.raises(Refused, match="never ended with 3: no such siren"):
        open_command(CommandSink(type="command", run=[str(never)]))(EVENT)


def test_a_command_that_hangs_is_killed(tmp_path: Path) -> None:
    program = script(tmp_path / "hangs", "exec sleep 60")
    with pytest.raises(Refused, match="took longer than 0.2 s"):
        open_command(CommandSink(type="command", run=[str(program)], timeout=0.2))(EVENT)


def test_a_program_that_is_not_there_is_said_at_the_start() -> None:
    with pytest.raises(WrongUse, match=r"sinks.siren.run: no program '/nowhere/siren'"):
        open_command(CommandSink(type="command", name="siren", run=["/nowhere/siren"]))


def test_a_file_grows_by_lines_and_is_turned_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    send = open_file(FileSink(type="file", path=path, max_mb=2.5 * len(EVENT) / 1e6))
    for _ in range(5):
        send(EVENT)
    assert path.read_text() == EVENT + "\n"
    assert (tmp_path / "events.jsonl.1").read_text() == 2 * (EVENT + "\n")


def test_a_file_that_cannot_be_written_waits(tmp_path: Path) -> None:
    send = open_file(FileSink(type="file", path=tmp_path / "unmounted" / "events.jsonl"))
    with pytest.raises(Unavailable, match=r"unmounted/events.jsonl: .*No such file"):
        send(EVENT)
    (tmp_path / "unmounted").mkdir()
    send(EVENT)


def test_a_full_device_leaves_no_half_line() -> None:
    if os.path.exists("/dev/full"):
        with pytest.raises(Unavailable, match="No space left"):
            open_file(FileSink(type="file", path=Path("/dev/full")))(EVENT)


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
