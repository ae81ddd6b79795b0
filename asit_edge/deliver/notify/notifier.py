"""A sink that people read: an event that passes the gate becomes a note, which a service takes to them."""

import logging
from typing import Protocol

from asit_edge.config.notifications import NotificationSettings, NtfySink, PushoverSink, TelegramSink
from asit_edge.config.secrets import host_of
from asit_edge.deliver.notify.gate import Gate
from asit_edge.deliver.notify.note import Note, note_of
from asit_edge.deliver.sinks.base import NotWanted
from asit_edge.messages.event import Event

log = logging.getLogger(__name__)


HERE = {"localhost", "127.0.0.1", "[::1]"}
"""Servers on this machine."""


class Service(Protocol):
    """What brings a note to its readers."""

    @property
    def name(self) -> str:
        """What may be told of its address."""
        ...

    def tell(self, note: Note) -> None:
        """Returns once it has it. Raises Unavailable or Refused."""
        ...


class Notifier:
    """Of one sink."""

    def __init__(self, settings: NotificationSettings, service: Service, gate: Gate) -> None:
        self._settings, self._gate = settings, gate
        self.service = service

    def send(self, payload: str) -> None:
        """Raises NotWanted for what is held back, Unavailable or Refused."""
        event = Event.model_validate_json(payload)
        if (reason := self._gate.holds_back(event)) is not None:
            raise NotWanted(reason)
        self.tell(event)
        self._gate.told(event)

    def tell(self, event: Event) -> None:
        """Whatever else there is to say against it. Raises Unavailable or Refused."""
        self.service.tell(note_of(event, self._settings))


def open_notifier(settings: NotificationSettings) -> Notifier:
    """Raises WrongUse if an address, a secret or a certificate cannot be used, or Apprise is not there."""
    service = _service(settings)
    if service.name.startswith("http://") and host_of(service.name) not in HERE:
        log.warning(
            "sinks.%s.server: over http:// the network can read all of it, secrets too; use https://", settings.name
        )
    return Notifier(settings, service, Gate(settings))


def _service(settings: NotificationSettings) -> Service:
    if isinstance(settings, NtfySink):
        from asit_edge.deliver.notify.ntfy import Ntfy

        return Ntfy(settings)
    if isinstance(settings, PushoverSink):
        from asit_edge.deliver.notify.pushover import Pushover

        return Pushover(settings)
    if isinstance(settings, TelegramSink):
        from asit_edge.deliver.notify.telegram import Telegram

        return Telegram(settings)
    from asit_edge.deliver.notify.by_apprise import ByApprise

    return ByApprise(settings)
