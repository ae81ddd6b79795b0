"""Which topics a broker's access rules deny, and when it is time to try again what they denied.

Pure: time comes in as seconds of any clock.
"""

from collections.abc import Iterable

FIRST_PATIENCE = 10.0
LONGEST_PATIENCE = 86_400.0
"""Seconds after a denial; doubled each time that what was tried again was denied again: rules may go by content."""


class Denials:
    """Of the topics of one device."""

    def __init__(self, topics: Iterable[str]) -> None:
        """`topics` on which an earlier run was denied something."""
        self._try_at = dict.fromkeys(topics, float("-inf"))
        self._patience: dict[str, float] = {}

    @property
    def topics(self) -> list[str]:
        """Where something was denied, and nothing has shown since that it would not be."""
        return sorted(self._try_at)

    def denied(self, topic: str, now: float) -> None:
        """Just now."""
        if topic not in self._try_at:
            before = self._patience.get(topic)
            self._patience[topic] = min(2 * before, LONGEST_PATIENCE) if before else FIRST_PATIENCE
        self._try_at[topic] = now + self._patience.get(topic, FIRST_PATIENCE)

    def allowed(self, topic: str, now: float) -> bool:
        """Something was taken on the topic. True if what was denied there may be tried again; it is forgotten then."""
        if now < self._try_at.get(topic, float("inf")):
            return False
        del self._try_at[topic]
        self._patience.setdefault(topic, FIRST_PATIENCE)
        return True
