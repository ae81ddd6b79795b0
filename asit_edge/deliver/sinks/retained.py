"""The state that a broker is to keep for a device, and what of it is to be published now.

Pure: topics and payloads in, announcements out. What is committed to the store is not handled here.
"""

from collections import Counter, deque
from collections.abc import Collection
from typing import NamedTuple

MOST_QUEUED = 10_000
"""Announcements that may wait for a slow broker, before the whole state is published anew instead."""


class Announcement(NamedTuple):
    """A message that is not in the store. Retained: a state, of which the last value counts."""

    topic: str
    payload: str
    retain: bool = True


class RetainedState:
    """The last value of every topic, and a queue of announcements that is filled only while there is a connection.

    What the broker has acknowledged is not announced again where it remembers us, so that a state gets there that takes
    longer than a connection lasts. Where it does not, what it got the longest ago comes first.
    """

    def __init__(self, broken_by_broker: Collection[str] = ()) -> None:
        """`broken_by_broker` are topics whose value the broker replaces when a connection ends (its last will)."""
        self._broken_by_broker = broken_by_broker
        self._values: dict[str, str] = {}
        """In the order in which they are announced."""
        self._acknowledged: dict[str, str] = {}
        """What the broker surely has."""
        self._under_way: Counter[str] = Counter()
        """Announcements by topic that are not answered: until they are, nothing is sure."""
        self._stale: set[str] = set()
        self._queue: deque[Announcement] = deque()
        self._again: deque[Announcement] = deque()
        self._connected = False

    def __len__(self) -> int:
        """Announcements that wait."""
        return len(self._queue)

    @property
    def topics(self) -> set[str]:
        """Where the broker keeps something of ours, as far as is known."""
        return self._stale | set(self._values)

    @property
    def unhurried(self) -> int:
        """Announcements that wait until there is nothing else to do."""
        return len(self._again)

    def connected(self, *, remembers: bool = False) -> None:
        """A broker is there. What it does not have is queued: everything, unless it remembers what it acknowledged."""
        self._connected = True
        first, news, known = list[Announcement](), list[Announcement](), list[Announcement]()
        for topic, payload in self._values.items():
            announcement = Announcement(topic, payload)
            if topic in self._broken_by_broker and self._acknowledged:
                first.append(announcement)
            elif self._acknowledged.get(topic) == payload:
                known.append(announcement)
            else:
                news.append(announcement)
        self._queue = deque([*first, *self._emptied(), *news, *([] if remembers else known)])

    def disconnected(self) -> None:
        self._connected = False
        self._queue.clear()
        self._again.clear()
        self._under_way.clear()

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
            self._again.clear()
            self._queue = deque([*self._emptied(), *self._all()])

    def say_again(self) -> None:
        """The whole state once more, each topic when there is nothing else to do: a broker may have come back with an
        older memory than it says.
        """
        self._again = deque(self._all())

    def clear_others(self, kept: set[str]) -> None:
        """Of the topics that the broker keeps, those without a value here are stale: they are to be emptied."""
        self._stale = kept - set(self._values)
        if self._connected:
            self._queue.extendleft(self._emptied())

    def retire(self, topics: Collection[str]) -> None:
        """These are part of the state no more: they are emptied behind what is queued."""
        for topic in topics:
            self._values.pop(topic, None)
            self._acknowledged.pop(topic, None)
        self._stale |= set(topics)
        for topic in sorted(topics):
            self.announce(Announcement(topic, ""))

    def next(self) -> Announcement:
        """The oldest announcement, no longer queued; from now on it is not known which value the broker has."""
        announcement = self._queue.popleft()
        self._acknowledged.pop(announcement.topic, None)
        self._under_way[announcement.topic] += 1
        return announcement

    def next_unhurried(self) -> Announcement | None:
        """One more of those, with the value of now; None if it has gone, or goes anyway."""
        topic = self._again.popleft().topic
        if topic not in self._values or topic not in self._acknowledged:
            return None
        self._under_way[topic] += 1
        return Announcement(topic, self._values[topic])

    def put_back(self, announcement: Announcement) -> None:
        """The broker did not take it now."""
        self._under_way[announcement.topic] -= 1
        self._queue.appendleft(announcement)

    def refused(self, announcement: Announcement) -> None:
        """The broker does not take it; at the next connection it may."""
        self._under_way[announcement.topic] -= 1

    def taken(self, announcement: Announcement) -> bool:
        """The broker has it. True if a stale topic is empty now: `topics` has changed."""
        topic, payload, retained = announcement
        self._under_way[topic] -= 1
        if not retained:
            return False
        if self._values.get(topic) == payload and self._under_way[topic] <= 0:
            self._acknowledged[topic] = payload
            self._values[topic] = self._values.pop(topic)  # the last to be announced the next time
        if payload or topic not in self._stale:
            return False
        self._stale.discard(topic)
        return True

    def _all(self) -> list[Announcement]:
        return [Announcement(topic, payload) for topic, payload in self._values.items()]

    def _emptied(self) -> list[Announcement]:
        return [Announcement(topic, "") for topic in sorted(self._stale)]
