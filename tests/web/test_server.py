"""The server on a real port: clients that take their time, that are too many, or do not read; its end, and its port."""

import http.client
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from asit_edge.web import server as serving
from asit_edge.web import stream
from asit_edge.web.app import make_app
from asit_edge.web.guards import protocol
from asit_edge.web.guards.access import Access
from asit_edge.web.parts import Parts
from asit_edge.web.server import Served, Server
from asit_edge.web.stream import Live
from tests.integration.mosquitto import free_port, wait_for
from tests.live.pictures import heard, level
from tests.web.conftest import TOKEN

Start = Callable[..., int]

POST = b"POST /api/missed HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def start(parts: Parts) -> Iterator[Start]:
    """Serves on a free port, or a given one; `told` takes what is wrong."""
    running: list[Server] = []

    def begin(port: int | None = None, told: list[str] | None = None, **other: object) -> int:
        chosen = port or free_port()
        begun = threading.Event()
        begun.set()

        def make() -> Served:
            live = Live(own := replace(parts, **other))  # type: ignore[arg-type]
            return Served(make_app(own, live), live.close)

        running.append(Server("127.0.0.1", chosen, make, begun, (told if told is not None else []).append))
        running[-1].start()
        if told is None:
            wait_for(lambda: answers(chosen), 20, "the page answers")
        return chosen

    yield begin
    for one in running:
        began = time.monotonic()
        one.stop(10)
        assert time.monotonic() - began < 5, "it ends in time, whoever watches"


def answers(port: int) -> bool:
    try:
        return get(port, "/healthz")[0] == 200
    except OSError:
        return False


def get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def dial(port: int, first: bytes = b"") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=10)
    made.sendall(first)
    return made


def is_closed(one: socket.socket) -> bool:
    """The other side has hung up."""
    one.setblocking(False)
    try:
        while one.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n",
        POST + b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
    ],
)
def test_who_never_comes_to_the_point_is_hung_up_on(
    start: Start, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_SECONDS", 1.0)
    port = start()
    slow, began = dial(port, first), time.monotonic()
    while not is_closed(slow) and time.monotonic() - began < 10:
        try:
            slow.setblocking(True)
            slow.sendall(b"a")  # a byte now and then buys no time
        except OSError:
            break
        time.sleep(0.1)
    assert 0.8 < time.monotonic() - began < 4


def test_a_second_request_on_a_connection_has_its_own_time(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "REQUEST_SECONDS", 1.0)
    port = start()
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for _ in range(3):
        kept.request("GET", "/healthz")
        assert kept.getresponse().read()
        time.sleep(0.7)
    kept.sock.sendall(b"GET / HT")
    wait_for(lambda: is_closed(kept.sock), 4, "hung up on")


def test_many_that_hold_connections_keep_nobody_out(start: Start) -> None:
    port = start()
    slow = [dial(port, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-") for _ in range(3 * protocol.MOST_CONNECTIONS)]
    for _ in range(5):
        assert get(port, "/healthz")[0] == 200
    closed = sum(is_closed(one) for one in slow)
    assert closed >= 2 * protocol.MOST_CONNECTIONS
    assert is_closed(slow[0]), "the oldest went first"
    for one in slow:
        one.close()


def test_who_does_not_read_is_hung_up_on(start: Start, monkeypatch: pytest.MonkeyPatch, parts: Parts) -> None:
    monkeypatch.setattr(protocol, "STUCK_SECONDS", 0.5)
    port = start()
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    deaf.connect(("127.0.0.1", port))
    deaf.sendall(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    wait_for(lambda: parts.hub._watching, 5, "it watches")
    big = heard().model_copy(update={"also": ["x" * 5_000] * 20})

    def flooded() -> bool:
        parts.hub.events("kitchen", [big] * 20)
        return not parts.hub._watching

    wait_for(flooded, 15, "it is hung up on")
    deaf.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        POST + b"Content-Length: -5\r\n\r\n",
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
)
def test_what_is_no_request_is_answered_as_such(start: Start, raw: bytes, caplog: pytest.LogCaptureFixture) -> None:
    port = start()
    odd = dial(port, raw)
    first = odd.recv(65_536).split(b"\r\n")[0]
    assert first == b"" or first.split()[1] in (b"400", b"404", b"415", b"421", b"431", b"200"), first
    odd.close()
    assert get(port, "/healthz")[0] == 200
    assert not [one for one in caplog.records if one.levelno > logging.INFO]


def test_a_body_without_end_is_cut_off(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    port = start()
    head = POST + b"Content-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n"
    endless = dial(port, head)
    sent = 0
    try:
        while sent < 50_000_000:
            sent += endless.send(b" " * 65_536)
    except OSError:
        pass
    assert sent < 20_000_000


def live(port: int, path: str = "/api/live?columns=0") -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    return connection, connection.getresponse()


def test_an_event_is_told_at_once(start: Start, parts: Parts) -> None:
    connection, told = live(start())
    assert told.headers["content-type"].startswith("text/event-stream")
    assert told.readline() == b"retry: 2000\n"
    odd = heard(5, label='Dog\nevent: evil\ndata: {"a": 1}\n\n\u2028')
    began = time.monotonic()
    parts.hub.events("kitchen", [odd])
    lines = [told.readline() for _ in range(4)]
    assert time.monotonic() - began < 1
    assert lines[1] == b"event: event\n"
    assert json.loads(lines[2].removeprefix(b"data: "))["label"] == odd.label
    assert lines[3] == b"\n"
    connection.close()


def test_a_sign_of_life_is_given_though_nothing_happens(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SIGN_OF_LIFE", 0.3)
    connection, told = live(start())
    lines = [told.readline() for _ in range(8)]
    assert lines.count(b"event: alive\n") == 2
    connection.close()


def test_who_signs_out_sees_no_more(start: Start) -> None:
    port = start(access=Access(TOKEN))
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    asking.request("POST", "/api/session", json.dumps({"token": TOKEN}), {"content-type": "application/json"})
    answer = asking.getresponse()
    session = {"cookie": answer.headers["set-cookie"].partition(";")[0]}
    answer.read()
    watching = []
    for headers in (session, {"authorization": f"Bearer {TOKEN}"}):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=8)
        connection.request("GET", "/api/live?columns=0", headers=headers)
        watching.append((connection, connection.getresponse()))
        assert watching[-1][1].readline() == b"retry: 2000\n"
    asking.request("DELETE", "/api/session", headers=session)
    assert asking.getresponse().read()
    assert watching[0][1].read() == b"\n", "it ends"
    assert [watching[1][1].readline() for _ in range(2)] == [b"\n", b"event: alive\n"], "a program's goes on"
    for connection, told in watching:
        told.close()
        connection.close()


def test_so_many_pages_watch_and_no_more(start: Start, parts: Parts) -> None:
    port = start()
    open_ones = [live(port) for _ in range(stream.MOST_STREAMS)]
    for _, told in open_ones:
        told.readline()
    status, words = get(port, "/api/live")
    assert status == 503
    assert b"pages watch already" in words
    open_ones[0][0].close()
    open_ones[0][1].close()

    def admitted() -> bool:
        parts.hub.level(level())
        connection, told = live(port)
        connection.close()
        told.close()
        return told.status == 200

    wait_for(admitted, 10, "a place is free again")
    for connection, told in open_ones[1:]:
        told.close()
        connection.close()


def test_a_port_that_is_taken_is_said_and_had_as_soon_as_it_is_free(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serving, "AGAIN", 0.1)
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        start(port, told)
        wait_for(lambda: told, 5, "it is said")
        assert told == [f"the page: 127.0.0.1 port {port} cannot be had (Address already in use)"]
        assert caplog.text.count("cannot be had") == 1
        assert f"`web: {{port: {port + 1}}}`" in caplog.text
    wait_for(lambda: answers(port), 20, "it answers")
    assert told[-1] == ""


def test_no_token_is_logged(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    port = start(access=Access(TOKEN))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = json.dumps({"token": TOKEN})
    connection.request("POST", "/api/session", body, {"content-type": "application/json"})
    assert connection.getresponse().read()
    connection.request("GET", "/api/state?token=secret", headers={"authorization": f"Bearer {TOKEN}"})
    assert connection.getresponse().status == 200
    assert TOKEN not in caplog.text
    assert "secret" not in caplog.text
    assert "GET" not in caplog.text


def test_what_serves_is_loaded_only_where_it_is_wanted() -> None:
    code = (
        "import asit_edge.listen.run, asit_edge.cli.app, sys; print({'starlette', 'uvicorn', 'anyio'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
