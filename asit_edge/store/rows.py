"""What the store hands out: messages that wait for a sink, and messages that a sink refused."""

from collections.abc import Callable
from typing import NamedTuple

from asit_edge.messages.event import Event
from asit_edge.messages.report import ClipReport, Gap

Post = Event | Gap | ClipReport
"""What is stored until every sink that wants it has it."""

Wants = Callable[[Post], bool]
"""Whether a sink takes a message at all."""


class Outgoing(NamedTuple):
    """A message on its way; `topic` is relative to the device's. `queued` in seconds since the epoch."""

    row: int
    topic: str
    payload: str
    queued: float


class Refusal(NamedTuple):
    """A message that a sink will never take."""

    sink: str
    topic: str
    reason: str
