"""What lies outside of a listener, on a virtual clock: a disk that fails, a broker that is away, a reader that hangs.

The store is the real one; its clock is the virtual one, too.
"""

import fcntl
import os
import resource
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

from asit_edge.messages.event import Event
from asit_edge.messages.report import Gap
from asit_edge.store import bounds, database, disk, numbers, store
from asit_edge.store.store import Store
from tests.listen.virtual import VirtualClock

BROKER = "broker"
DENIED = "Not authorized"
KEEP = 2_000
AT_ONCE = 100
FULL_AT = 4_096
"""Bytes beyond which no file grows on a full disk; what is noted in place still can be."""
PIPE_BYTES = 4_096
F_SETPIPE_SZ = 1_031


class VirtualTime:
    """Stands for the module `time` in the store."""

    def __init__(self, clock: VirtualClock) -> None:
        self.time, self.monotonic = clock.wall, clock.steady


@contextmanager
def on_clock(clock: VirtualClock) -> Iterator[None]:
    """The store's time is the virtual one."""
    with ExitStack() as stack:
        for module in (bounds, database, disk, numbers, store):
            stack.enter_context(mock.patch.object(module, "time", VirtualTime(clock)))
        yield


class FaultyDisk:
    """A store on a disk that can be full, locked by another program, or not return."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "events.db"
        self.store = self._open()
        self._full, self._dropped = False, 0
        self._other: sqlite3.Connection | None = None
        self._returns = threading.Event()
        self._returns.set()

    def _open(self) -> Store:
        return Store(self.path, KEEP, sinks={BROKER: lambda _: True})

    @property
    def hangs(self) -> bool:
        return not self._returns.is_set()

    def fill(self) -> None:
        self._full = True

    def lock(self) -> None:
        """Another program writes, and does not end."""
        self._other = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._other.execute("BEGIN IMMEDIATE")

    def hang(self) -> None:
        self._returns.clear()

    def mend(self) -> None:
        """Nothing is wrong with it any more."""
        self._full = False
        if self._other is not None:
            self._other.execute("ROLLBACK")
            self._other.close()
            self._other = None
        self._returns.set()

    def commit(self, source: str, events: list[Event]) -> list[Event]:
        self._returns.wait()
        with self._as_it_is():
            return self.store.commit(events, f"{source}/event")

    def post(self, gap: Gap) -> None:
        self._returns.wait()
        with self._as_it_is():
            self.store.post(f"{gap.source}/gap", gap)

    def tend(self, broker: "Broker") -> None:
        """What is done once a second; in the listener in other threads than those that listen."""
        if not self.hangs:
            with self._as_it_is():
                self.store.tend()
                broker.take(self.store)

    def restart(self) -> None:
        """As `kill -9`: what only memory held is gone, and another run opens the file."""
        self._dropped += self.store.dropped
        self.store._disk.close()
        self.store = self._open()

    @property
    def dropped(self) -> int:
        """Messages that were given up undelivered."""
        return self._dropped + self.store.dropped

    @contextmanager
    def _as_it_is(self) -> Iterator[None]:
        if not self._full:
            yield
            return
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_AT, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Broker:
    """Takes what the store has for it, unless it is away, or denies events. Only what is open is remembered."""

    def __init__(self) -> None:
        self.away = self.denies = False
        self.taken: Counter[str] = Counter()
        """Messages of each kind, and those that came twice."""
        self.expected: set[int] = set()
        """Numbers of committed messages that have not come yet."""
        self.open: set[str] = set()
        """Events of which only the beginning has come, or only the end."""
        self._denied: set[str] = set()

    def take(self, store: Store) -> None:
        if self.away:
            return
        if self._denied and not self.denies:  # what was denied is tried once more
            for topic in self._denied:
                while store.requeue(BROKER, topic, DENIED, AT_ONCE):
                    pass
            self._denied = store.refused_topics(BROKER, DENIED)
        while waiting := store.waiting(BROKER, 0, AT_ONCE):
            for one in waiting:
                if self.denies and one.topic.endswith("/event"):
                    store.refuse(one.row, DENIED)
                    self._denied.add(one.topic)
                    self.taken["denied"] += 1
                else:
                    self._hear(one.topic, one.payload)
                    store.delivered([one.row])

    def _hear(self, topic: str, payload: str) -> None:
        if not topic.endswith("/event"):
            self.taken["gap"] += 1
            return
        event = Event.model_validate_json(payload)
        if event.seq not in self.expected:
            self.taken["twice"] += 1
            return
        self.expected.discard(event.seq)
        self.taken[event.type] += 1
        if event.type != "update":
            self.open ^= {event.id}


class Reader:
    """Whoever reads what the listener prints, and may hang: the other end of a pipe of one page."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)
        fcntl.fcntl(self.writing, F_SETPIPE_SZ, PIPE_BYTES)
        self.hangs = False
        self.lines = 0

    def read(self) -> None:
        """What is there, unless it hangs."""
        while not self.hangs:
            try:
                self.lines += os.read(self._reading, 1 << 16).count(b"\n")
            except BlockingIOError:
                return

    def close(self) -> None:
        os.close(self._reading)
        os.close(self.writing)
