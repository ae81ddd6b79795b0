"""The state that a broker is to keep for a device, and what of it is to be published now.

Pure: topics and payloads in, announcements out. What is committed to the store is not handled here.
"""

from collections import deque
from typing import NamedTuple

MOST_QUEUED = 10_000
"""Announcements that may wait for a slow broker, before the whole state is published anew instead."""


class Announcement(NamedTuple):
    """A message that is not in the store. Retained: a state, of which the last value counts."""

    topic: str
    payload: str
    retain: bool = True


class RetainedState:
    """The last value of every topic, and a queue of announcements that is filled only while there is a connection."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._stale: set[str] = set()
        self._queue: deque[Announcement] = deque()
        self._connected = False

    def __len__(self) -> int:
        """Announcements that wait."""
        return len(self._queue)

    @property
    def topics(self) -> set[str]:
        """Where the broker keeps something of ours, as far as is known."""
        return self._stale | set(self._values)

    def connected(self) -> None:
        """A broker is there, which may know nothing: the whole state is queued."""
        self._connected = True
        self.announce_all()

    def disconnected(self) -> None:
        self._connected = False
        self._queue.clear()

    def update(self, topic: str, payload: str) -> None:
        """Sets a state. Every change is published while there is a connection, the last value at the next one."""
        self._values[topic] = payload
        self._stale.discard(topic)
        self.announce(Announcement(topic, payload))

    def announce(self, announcement: Announcement) -> None:
        """Queues an announcement if there is a connection."""
        if not self._connected:
            return
        if len(self._queue) < MOST_QUEUED:
            self._queue.append(announcement)
        else:
            self.announce_all()

    def announce_all(self) -> None:
        """Queues the whole state, in place of what was queued; first of all that stale topics are empty."""
        if self._connected:
            self._queue = deque(
                [*self._emptied(), *(Announcement(topic, payload) for topic, payload in self._values.items())]
            )

    def clear_others(self, kept: set[str]) -> None:
        """Of the topics that the broker keeps, those without a value here are stale: they are to be emptied."""
        self._stale = kept - set(self._values)
        if self._connected:
            self._queue.extendleft(self._emptied())

    def next(self) -> Announcement:
        """The oldest announcement, no longer queued."""
        return self._queue.popleft()

    def put_back(self, announcement: Announcement) -> None:
        """The broker did not take it now."""
        self._queue.appendleft(announcement)

    def taken(self, announcement: Announcement) -> bool:
        """The broker has it. True if a stale topic is empty now: `topics` has changed."""
        if announcement.payload or announcement.topic not in self._stale:
            return False
        self._stale.discard(announcement.topic)
        return True

    def _emptied(self) -> list[Announcement]:
        return [Announcement(topic, "") for topic in sorted(self._stale)]
