"""What a notification says. Pure but for the time zone."""

from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from asit_edge.config.notifications import Notification, Priority
from asit_edge.errors import readable
from asit_edge.messages.event import Event

MOST_LINK = 512
"""Characters of an address that every service takes."""


class Note(NamedTuple):
    """One notification, for whichever service."""

    title: str
    """One line; may be empty."""
    text: str
    """Never empty; may have several lines."""
    label: str
    priority: Priority
    link: str | None
    """Where the recording of the event is, if that is an address on the web."""
    onset: float
    """Seconds since 1970."""


def note_of(event: Event, settings: Notification) -> Note:
    """As the templates have it. What others gave (names, labels) is on one line, without control characters."""
    values = fields(event)
    return Note(
        settings.title.format_map(values).strip(),
        settings.message.format_map(values).strip() or values["label"].strip() or event.type,
        event.label,
        settings.priority_of(event.label),
        link_of(event.clip),
        event.onset_epoch,
    )


def fields(event: Event) -> dict[str, str]:
    """Every field that a template may have, as text; what is not known yet is empty. Times are local."""
    return {
        name: readable(value)
        for name, value in {
            "label": event.label,
            "source": event.source,
            "device": event.device,
            "score": f"{event.score:.2f}",
            "peak": f"{event.peak:.2f}",
            "time": _time(event.onset_epoch),
            "duration": "" if event.duration is None else f"{event.duration:.1f} s",
            "clip": event.clip or "",
            "type": event.type,
        }.items()
    }


def link_of(clip: str | None) -> str | None:
    """An address that a phone can open."""
    if clip is None or len(clip) > MOST_LINK or not clip.isascii() or not clip.isprintable() or " " in clip:
        return None
    try:
        address = urlsplit(clip)
    except ValueError:
        return None
    return clip if address.scheme in ("http", "https") and address.hostname else None


def cut(text: str, most: int, encoding: str = "utf-8", unit: int = 1) -> str:
    """At most so many units of `unit` bytes in an encoding; what is cut off is shown by an ellipsis."""
    if len(text.encode(encoding)) <= most * unit:
        return text
    mark = "…"
    room = most * unit - len(mark.encode(encoding))
    return text.encode(encoding)[:room].decode(encoding, "ignore") + mark


def _time(epoch: float) -> str:
    try:
        return datetime.fromtimestamp(epoch).strftime("%H:%M:%S")
    except (ValueError, OverflowError, OSError):  # no such year
        return ""
