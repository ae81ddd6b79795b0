"""Any service that Apprise knows. It says whether a service has taken a note, and in its log why not."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import unquote

from asit_edge.config.notifications import AppriseSink, Priority
from asit_edge.config.secrets import SHORT, secret_of, without_secrets
from asit_edge.deliver.notify.answers import MOST_TOLD
from asit_edge.deliver.notify.note import Note
from asit_edge.deliver.sinks.base import Unavailable
from asit_edge.errors import WrongUse, one_line

KINDS: dict[Priority, str] = {"low": "info", "normal": "info", "high": "warning", "urgent": "failure"}

_LISTENING: ContextVar[list[str]] = ContextVar("_LISTENING")
"""Whose call it is that logs: Apprise has one log for all sinks, and takes the context into threads of its own."""


class ByApprise:
    """One address of Apprise's."""

    def __init__(self, settings: AppriseSink) -> None:
        """Raises WrongUse if Apprise is not there, or knows no such service."""
        where = f"sinks.{settings.name}"
        try:
            import apprise
        except ImportError:
            raise WrongUse(f"{where}: Apprise is not installed; pip install 'asit-edge[apprise]'") from None
        url = secret_of(settings.url, settings.url_file, f"{where}.url")
        assert url is not None
        self._url = url
        # Nothing on disk: what it remembers of services is not needed.
        asset = apprise.AppriseAsset(app_id="asit-edge", app_desc="asit-edge", async_mode=False, storage_mode="memory")
        self._apprise = apprise.Apprise(asset=asset)
        with _listened_to():
            known = self._apprise.add(url)
        if not known or len(self._apprise) != 1:
            raise WrongUse(f"{where}.url: is no address of a service that Apprise knows (apprise --details lists them)")
        self.name = f"Apprise ({url.partition('://')[0]})"

    def tell(self, note: Note) -> None:
        """Raises Unavailable; whether a service will ever take it cannot be told apart here."""
        text = f"{note.text}\n{note.link}" if note.link else note.text
        with _listened_to() as heard:
            try:
                taken = self._apprise.notify(
                    body=text, title=note.title, notify_type=KINDS[note.priority], body_format="text"
                )
            except Exception as error:  # of whichever of its plugins; its text may have the address in it
                raise Unavailable(f"{self.name}: fails with {type(error).__name__}") from None
        if not taken:
            why = without_parts(one_line("; ".join(heard)), self._url)[:MOST_TOLD]
            raise Unavailable(f"{self.name}: {why or 'the service has not taken it'}")


def without_parts(text: str, url: str) -> str:
    """A text without any part of an address: in Apprise's, keys and numbers stand in the place of host and path."""
    text = without_secrets(text, url)
    parts = re.split(r"[/:@?&=#,+]+", url.partition("://")[2])
    forms = {form for part in parts for form in (part, unquote(part))}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) > SHORT:
            text = text.replace(form, "***")
    return text


@contextmanager
def _listened_to() -> Iterator[list[str]]:
    """What Apprise logs of this call, which goes nowhere else: it may have an address with its secrets in it."""
    heard: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if _LISTENING.get(None) is heard:
                heard.append(record.getMessage())

    log, handler = logging.getLogger("apprise"), Keep(logging.WARNING)
    log.propagate = False
    log.addHandler(handler)
    call = _LISTENING.set(heard)
    try:
        yield heard
    finally:
        _LISTENING.reset(call)
        log.removeHandler(handler)
