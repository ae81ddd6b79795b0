"""What was sent to a broker and is not acknowledged yet, by number; what a reason code means for it.

Pure: time comes in as seconds of any clock.
"""

from enum import Enum
from typing import NamedTuple

from asit_edge.deliver.sinks.retained import Announcement
from asit_edge.store.rows import Outgoing

REFUSED_FOR_GOOD = {135, 144, 149, 153}
"""Not authorised, topic name invalid, packet too large, payload format invalid (MQTT 5, section 3.4.2.1)."""


class Verdict(Enum):
    """What a broker says of a message."""

    TAKEN = "taken"
    REFUSED = "refused"
    NOT_NOW = "not now"


def verdict(reason: int) -> Verdict:
    """Of the reason code in a PUBACK; 128 and above are failures (MQTT 5, section 2.4)."""
    if reason < 128:
        return Verdict.TAKEN
    return Verdict.REFUSED if reason in REFUSED_FOR_GOOD else Verdict.NOT_NOW


class Lost(NamedTuple):
    """What a connection left unanswered: messages of the outbox by row, and how long ago the last was sent."""

    rows: dict[int, Outgoing]
    seconds: float


class InFlight:
    """Messages on their way over one connection."""

    def __init__(self) -> None:
        self._sent: dict[int, tuple[Outgoing | Announcement, float]] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def sent(self, number: int, message: Outgoing | Announcement, now: float) -> None:
        """The broker will answer under this number."""
        self._sent[number] = (message, now)

    def answered(self, number: int) -> Outgoing | Announcement | None:
        """The message of that number, no longer on its way; None if it belongs to an earlier connection."""
        return self._sent.pop(number, (None, 0.0))[0]

    def overdue(self, now: float, seconds: float) -> bool:
        """Whether an answer has been missing for longer than that."""
        return any(now - at > seconds for _, at in self._sent.values())

    def abandon(self, now: float) -> Lost:
        """The connection is gone: nothing is on its way any more."""
        stored = {message.row: (message, at) for message, at in self._sent.values() if isinstance(message, Outgoing)}
        self._sent = {}
        last = max((at for _, at in stored.values()), default=now)
        return Lost({row: message for row, (message, _) in stored.items()}, now - last)
