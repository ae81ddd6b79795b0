"""How many commands are obeyed: whoever sends them without end gets one answer, and listening has its peace.

Pure: time comes in as seconds of any clock.
"""

from enum import Enum

AT_ONCE = 200
"""Commands that may come together: every threshold of two sources, or what a broker kept while the device was away."""

A_SECOND = 10
"""From then on."""

ANSWER_EVERY = 10.0
"""Seconds between answers to commands that are too many."""

TOO_MANY = (
    f"too many commands, this one was not obeyed: send at most {AT_ONCE} together and {A_SECOND} a second, and it again"
)


class Admission(Enum):
    """What becomes of a command."""

    OBEY = "obey"
    ANSWER = "answer"
    DROP = "drop"


class CommandRate:
    """Of one device, whichever source the commands are for."""

    def __init__(self) -> None:
        self._left = float(AT_ONCE)
        self._at: float | None = None
        self._answered_at = float("-inf")
        self.dropped = 0
        """Commands that were not obeyed since the start."""

    def admit(self, now: float) -> Admission:
        """A command has come."""
        if self._at is not None:
            self._left = min(self._left + (now - self._at) * A_SECOND, float(AT_ONCE))
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return Admission.OBEY
        self.dropped += 1
        if now - self._answered_at < ANSWER_EVERY:
            return Admission.DROP
        self._answered_at = now
        return Admission.ANSWER
