"""ntfy: a message as JSON to the root of the server (https://docs.ntfy.sh/publish/#publish-as-json)."""

import json
import re

from asit_edge.config.notifications import NtfySink, Priority
from asit_edge.config.secrets import secret_of
from asit_edge.deliver.notify.answers import judge, said
from asit_edge.deliver.notify.note import Note, cut
from asit_edge.deliver.notify.server import server_of
from asit_edge.deliver.sinks.http_server import USER_AGENT, sendable
from asit_edge.errors import WrongUse

PRIORITIES: dict[Priority, int] = {"low": 2, "normal": 3, "high": 4, "urgent": 5}

MOST_BYTES = 4_096
"""Of a message; a longer one would become an attachment."""

MOST_TITLE = 250


class Ntfy:
    """One topic."""

    def __init__(self, settings: NtfySink) -> None:
        """Raises WrongUse if the address, a secret or the certificates cannot be used."""
        where = f"sinks.{settings.name}"
        topic = secret_of(settings.topic, settings.topic_file, f"{where}.topic")
        assert topic is not None
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", topic):
            raise WrongUse(f"{where}.topic: must be 1 to 64 letters, digits, _ and -")
        token = secret_of(settings.token, settings.token_file, f"{where}.token")
        self._server = server_of(settings, [topic, token or ""], f"; the topic goes into {where}.topic")
        self._topic, self._tags, self._where = topic, settings.tags, where
        self._headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}
        if token and self._server.basic:
            raise WrongUse(f"{where}: the server's address has a user, and there is a token; leave one of them out")
        if token:
            self._headers["Authorization"] = f"Bearer {sendable(token, f'{where}.token')}"
        elif self._server.basic:
            self._headers["Authorization"] = self._server.basic

    @property
    def name(self) -> str:
        return self._server.name

    def tell(self, note: Note) -> None:
        """Raises Unavailable or Refused."""
        message: dict[str, object] = {
            "topic": self._topic,
            "message": cut(note.text, MOST_BYTES),
            "priority": PRIORITIES[note.priority],
        }
        if note.title:
            message["title"] = cut(note.title, MOST_TITLE)
        if note.label in self._tags:
            message["tags"] = list(self._tags[note.label])
        if note.link:
            message["click"] = note.link
        # As UTF-8: \uXXXX for every letter would be more than the server reads of a request.
        answer = self._server.post("/", json.dumps(message, ensure_ascii=False).encode(), self._headers)
        self._server.close()
        judge(self._server, answer, str(said(answer).get("error", "")), self._check)

    def _check(self, status: int, _words: str) -> str | None:
        if status == 401:
            return f"check {self._where}.token_file, or the user in {self._where}.server"
        if status == 403:
            return f"this user may not write to the topic; check {self._where}.token_file and the server's access rules"
        if status == 404:
            return f"is there an ntfy server? check {self._where}.server"
        return None
