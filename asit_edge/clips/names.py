"""What a clip is called, and what its name says. Pure.

`2026-05-01/hall/030012Z_baby_cry_infant_cry_1d4fa3b2.flac`: day, source, time of day (UTC), the label's slug and the
first digits of the event's id. A name that is not exactly like that is no clip's, and nothing here touches such a file.
"""

import re
import time
from datetime import datetime
from typing import NamedTuple

from asit_edge.labels import slug
from asit_edge.messages.event import Event

SLUG = 80
"""Characters of a label's slug that a name has at most."""

ID_DIGITS = 8

DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
SOURCE = r"[A-Za-z0-9_-]{1,64}"
FILE = rf"([0-9]{{6}})Z_([a-z0-9_]{{1,{SLUG}}})_([0-9a-f]{{{ID_DIGITS}}})\.(flac|opus)"

_NAME = re.compile(rf"({DAY})/({SOURCE})/{FILE}")


class Clip(NamedTuple):
    """A clip, as its name and its file tell of it."""

    name: str
    """Its path below the folder, with `/`."""
    source: str
    label: str
    """The label's slug."""
    begin: float
    """When the sound began, to the second, since the epoch."""
    event: str
    """The first digits of the event's id."""
    size: int = 0
    """Bytes."""


def clip_name(event: Event, form: str) -> str:
    """The name of the clip of an event; `form` is flac or opus."""
    day = time.strftime("%Y-%m-%d/", time.gmtime(event.onset_epoch))
    moment = time.strftime("%H%M%SZ", time.gmtime(event.onset_epoch))
    return f"{day}{event.source}/{moment}_{label_slug(event.label)}_{event.id[:ID_DIGITS]}.{form}"


def label_slug(label: str) -> str:
    """What stands for a label in names."""
    return slug(label)[:SLUG]


def read_name(name: str) -> Clip | None:
    """What a name says; None if it is no clip's."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    day, source, moment, label, event, _ = found.groups()
    try:
        begin = datetime.fromisoformat(f"{day}T{moment[:2]}:{moment[2:4]}:{moment[4:]}+00:00").timestamp()
    except ValueError:  # no such day, no such hour
        return None
    return Clip(name, source, label, begin, event)
