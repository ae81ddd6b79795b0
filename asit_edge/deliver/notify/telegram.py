"""Telegram: sendMessage of the Bot API (https://core.telegram.org/bots/api#sendmessage), as plain text."""

import json
import re

from asit_edge.config.notifications import TelegramSink
from asit_edge.config.secrets import secret_of
from asit_edge.deliver.notify.answers import judge, said
from asit_edge.deliver.notify.note import Note, cut
from asit_edge.deliver.notify.server import server_of
from asit_edge.deliver.sinks.http_server import USER_AGENT
from asit_edge.errors import WrongUse

MOST_UNITS = 4_096
"""UTF-16 code units of a message."""

WRONG_CHAT = ("chat not found", "chat_id is empty", "group chat was upgraded", "peer_id_invalid", "not enough rights")
"""What 400 is about where the chat is wrong and not the message."""


class Telegram:
    """One bot and the chat that it writes to."""

    def __init__(self, settings: TelegramSink) -> None:
        """Raises WrongUse if the address, a secret or the certificates cannot be used."""
        where = f"sinks.{settings.name}"
        token = secret_of(settings.token, settings.token_file, f"{where}.token")
        chat = secret_of(settings.chat, None, f"{where}.chat")
        assert token is not None
        assert chat is not None
        if not re.fullmatch(r"\d{1,20}:[A-Za-z0-9_-]{1,200}", token):
            raise WrongUse(f"{where}.token: is no bot's token; BotFather gives one such as 123456:ABC-DEF, all of it")
        secrets = [token, token.partition(":")[2], chat.lstrip("@-")]
        self._server = server_of(settings, secrets, ", such as https://api.telegram.org")
        self._path, self._chat, self._where = f"/bot{token}/sendMessage", chat, where
        self._headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}

    @property
    def name(self) -> str:
        return self._server.name

    def tell(self, note: Note) -> None:
        """Raises Unavailable or Refused."""
        link = f"\n{note.link}" if note.link else ""
        text = f"{note.title}\n{note.text}".strip()
        message = {
            "chat_id": self._chat,
            "text": cut(text, MOST_UNITS - len(link), "utf-16-le", 2) + link,
            "link_preview_options": {"is_disabled": True},  # or Telegram would fetch the clip
            "disable_notification": note.priority == "low",
        }
        answer = self._server.post(self._path, json.dumps(message).encode(), self._headers)
        self._server.close()
        found = said(answer)
        parameters = found.get("parameters")
        wait = parameters.get("retry_after") if isinstance(parameters, dict) else None
        seconds = float(wait) if isinstance(wait, int) and 0 < wait < 1e9 else 0.0
        judge(self._server, answer, str(found.get("description", "")), self._check, seconds)

    def _check(self, status: int, words: str) -> str | None:
        if status in (401, 404):
            return f"there is no such bot; check {self._where}.token_file"
        if status == 403:
            return f"write to the bot once, or let it into the chat; then check {self._where}.chat"
        if status == 400 and any(one in words.lower() for one in WRONG_CHAT):
            return f"write to the bot once; then check {self._where}.chat"
        return None
