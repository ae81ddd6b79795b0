"""Pushover: a form to /1/messages.json (https://pushover.net/api)."""

from urllib.parse import urlencode

from asit_edge.config.notifications import Priority, PushoverSink
from asit_edge.config.secrets import secret_of
from asit_edge.deliver.notify.answers import judge, said
from asit_edge.deliver.notify.note import Note, cut
from asit_edge.deliver.notify.server import server_of
from asit_edge.deliver.sinks.http_server import USER_AGENT

PRIORITIES: dict[Priority, int] = {"low": -1, "normal": 0, "high": 1, "urgent": 2}

EMERGENCY = {"retry": "60", "expire": "3600"}
"""What is urgent rings again every minute, for an hour, until somebody confirms it."""

MOST_TEXT, MOST_TITLE = 1_024, 250
"""Characters."""


class Pushover:
    """One application and whom it writes to."""

    def __init__(self, settings: PushoverSink) -> None:
        """Raises WrongUse if the address, a secret or the certificates cannot be used."""
        where = f"sinks.{settings.name}"
        token = secret_of(settings.token, settings.token_file, f"{where}.token")
        user = secret_of(settings.user, settings.user_file, f"{where}.user")
        assert token is not None
        assert user is not None
        self._who = {"token": token, "user": user}
        self._server = server_of(settings, [token, user], ", such as https://api.pushover.net")
        self._where = where
        self._headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": USER_AGENT}

    @property
    def name(self) -> str:
        return self._server.name

    def tell(self, note: Note) -> None:
        """Raises Unavailable or Refused."""
        form = self._who | {
            "title": _cut(note.title, MOST_TITLE),
            "message": _cut(note.text, MOST_TEXT),
            "priority": str(PRIORITIES[note.priority]),
            "timestamp": str(int(note.onset)),
        }
        if note.priority == "urgent":
            form |= EMERGENCY
        if note.link:
            form |= {"url": note.link}
        body = urlencode({name: value for name, value in form.items() if value}).encode()
        answer = self._server.post("/1/messages.json", body, self._headers)
        self._server.close()
        errors = said(answer).get("errors", [])
        words = "; ".join(map(str, errors)) if isinstance(errors, list) else ""
        mistaken = [key for key in ("token", "user") if said(answer).get(key) == "invalid"]
        judge(self._server, answer, words, lambda status, _: self._check(status, mistaken))

    def _check(self, status: int, mistaken: list[str]) -> str | None:
        """A wrong token or key is answered with 400, as a wrong message is; but then the answer names it as invalid."""
        if status == 400 and mistaken:
            return "check " + " and ".join(f"{self._where}.{key}_file" for key in mistaken)
        if status in (401, 403):
            return f"check {self._where}.token_file and user_file"
        if status == 404:
            return f"is that Pushover? check {self._where}.server"
        return None


def _cut(text: str, most: int) -> str:
    return cut(text, most, "utf-32-le", 4)
