"""Servers on this machine that take notifications as ntfy, Pushover and Telegram say that theirs do."""

import json
import re
import ssl
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl

import trustme

TOKEN = {
    "ntfy": "tk_n0tf0ry0u",
    "pushover": "azGDORePK8gMaC0QOYAMyEEuzJnyUi",
    "telegram": "110201543:AAHdqTcvCH1vGWJxf",
}
TOPIC = "hall-x7Qh2mVw"
USER = "uQiRzpo4DXghDmr9QzzfQu27cmVRsG"
CHAT = "-1001234567890"
SECRETS = (*TOKEN.values(), TOPIC, USER, CHAT.lstrip("-"), TOKEN["telegram"].partition(":")[2])


class Request(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    status: int
    body: object = None
    headers: Mapping[str, str] = {}


class Service:
    """Answers as `respond` has it, or first of all as it is told; remembers what it was sent."""

    def __init__(self, authority: trustme.CA | None = None) -> None:
        self.requests: list[Request] = []
        self.replies: list[Reply] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = Request(self.path, dict(self.headers), body)
                outer.requests.append(request)
                reply = outer.replies.pop(0) if outer.replies else outer.respond(request)
                said = json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in {**reply.headers, "Content-Length": str(len(said))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        scheme = "http"
        if authority is not None:
            scheme, context = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("127.0.0.1").configure_cert(context)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def respond(self, request: Request) -> Reply:
        raise NotImplementedError

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class NtfyServer(Service):
    """Publishing as JSON: POST to the root; one topic that only `TOKEN` may write to."""

    @property
    def messages(self) -> list[dict[str, object]]:
        return [json.loads(one.body) for one in self.requests]

    def respond(self, request: Request) -> Reply:
        if request.path != "/":
            return Reply(404, {"code": 40401, "http": 404, "error": "page not found"})
        if len(request.body) > 2 * 4_096:
            return Reply(413, {"code": 41301, "http": 413, "error": "request entity too large"})
        message = json.loads(request.body)
        if not re.fullmatch(r"[-_A-Za-z0-9]{1,64}", message.get("topic", "")):
            return Reply(400, {"code": 40009, "http": 400, "error": "invalid request: topic invalid"})
        who = request.headers.get("Authorization")
        if who not in (None, f"Bearer {TOKEN['ntfy']}"):
            return Reply(401, {"code": 40101, "http": 401, "error": "unauthorized"})
        if who is None or message["topic"] != TOPIC:
            return Reply(403, {"code": 40301, "http": 403, "error": "forbidden"})
        if message.get("priority", 3) not in (1, 2, 3, 4, 5):
            return Reply(400, {"code": 40007, "http": 400, "error": "invalid priority parameter"})
        assert len(str(message["message"]).encode()) <= 4_096, "or it becomes an attachment"
        return Reply(200, {"id": "sPs71M8A2T", "time": 1, "event": "message", **message})


class PushoverServer(Service):
    """POST of a form to /1/messages.json."""

    @property
    def messages(self) -> list[dict[str, str]]:
        return [dict(parse_qsl(one.body.decode(), strict_parsing=True)) for one in self.requests]

    def respond(self, request: Request) -> Reply:
        if request.path != "/1/messages.json":
            return Reply(404, {"status": 0})
        form = dict(parse_qsl(request.body.decode(), strict_parsing=True))
        if form.get("token") != TOKEN["pushover"]:
            return Reply(400, {"token": "invalid", "errors": ["application token is invalid"], "status": 0})
        if form.get("user") != USER:
            return Reply(400, {"user": "invalid", "errors": ["user identifier is not a valid user"], "status": 0})
        if not form.get("message"):
            return Reply(400, {"message": "cannot be blank", "errors": ["message cannot be blank"], "status": 0})
        assert len(form["message"]) <= 1_024
        assert len(form.get("title", "")) <= 250
        if form["priority"] == "2" and not (int(form["retry"]) >= 30 and int(form["expire"]) <= 10_800):
            return Reply(400, {"errors": ["retry and expire must be supplied with priority=2"], "status": 0})
        return Reply(200, {"status": 1, "request": "647d2300-702c-4b38-8b2f-d56326ae460b"})


class TelegramServer(Service):
    """POST of JSON to /bot<token>/sendMessage."""

    @property
    def messages(self) -> list[dict[str, object]]:
        return [json.loads(one.body) for one in self.requests]

    def respond(self, request: Request) -> Reply:
        if request.path != f"/bot{TOKEN['telegram']}/sendMessage":
            return Reply(401, {"ok": False, "error_code": 401, "description": "Unauthorized"})
        message = json.loads(request.body)
        if message["chat_id"] != CHAT:
            return Reply(400, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"})
        if not 1 <= len(message["text"].encode("utf-16-le")) // 2 <= 4_096:
            return Reply(400, {"ok": False, "error_code": 400, "description": "Bad Request: message is too long"})
        return Reply(200, {"ok": True, "result": {"message_id": 42, "text": message["text"]}})


def secret_file(folder: Path, name: str, secret: str) -> Path:
    file = folder / name
    file.write_text(f"{secret}\n", encoding="utf-8")
    return file
