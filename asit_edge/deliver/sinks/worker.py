"""Sinks that take one event after the other: each with a thread and a queue of its own, so that none delays another.

A sink is a function: it returns when it has the message, raises `Unavailable` if it may have it later (the queue waits,
with growing pauses, and at least for as long as the sink asks), `Refused` if it never will (the message is kept with
the reason, the queue goes on) and `NotWanted` for what need not be told there.
"""

import logging
import threading
import time

from asit_edge.backoff import Backoff
from asit_edge.deliver.sinks.base import LATE_SECONDS, NotWanted, Refused, Send, Unavailable
from asit_edge.errors import one_line
from asit_edge.messages.event import late
from asit_edge.store.rows import Outgoing
from asit_edge.store.store import Store

log = logging.getLogger(__name__)

AT_ONCE = 100
"""Messages read from the store at a time."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
LONGEST_WAIT = 86_400.0
"""Seconds that a sink may ask for; nobody is left in peace for longer."""


class Worker:
    """Takes one sink's messages from the outbox to it, in order."""

    def __init__(self, name: str, send: Send, store: Store) -> None:
        self.name, self._send, self._store = name, send, store
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._problem: str | None = None
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._thread = threading.Thread(target=self._run, name=f"sink-{name}", daemon=True)

    @property
    def problem(self) -> str | None:
        """Why nothing is delivered at the moment, in words for the user."""
        return self._problem

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the outbox."""
        self._news.set()

    def drain(self, seconds: float) -> bool:
        """Waits until the sink has everything, at most so long, and not at all while it is away."""
        deadline = time.monotonic() + seconds
        while self._store.count_waiting(self.name):
            if time.monotonic() > deadline or self._problem:
                return False
            time.sleep(0.02)
        return True

    def stop(self) -> None:
        """Ends after the message that is on its way. What is still in the outbox stays there."""
        self._stopping.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.clear()
            try:
                if not self._deliver():
                    self._news.wait(1.0)
                self._backoff.reset()
            except Unavailable as problem:
                self._rest(str(problem), problem.wait)
            except Exception as error:
                # Whatever it is, the queue must not stand still for good, nor the others know of it.
                log.debug("%s", self.name, exc_info=True)
                self._rest(f"{type(error).__name__}: {one_line(error)}")

    def _rest(self, problem: str, wait: float = 0.0) -> None:
        """Says so, and waits before the next attempt, at least for `wait` seconds."""
        self._report(problem)
        self._stopping.wait(max(self._backoff.pause(), min(wait, LONGEST_WAIT)))

    def _deliver(self) -> bool:
        """Takes over what waits now. False if that was nothing. Raises Unavailable."""
        waiting = self._store.waiting(self.name, 0, AT_ONCE)
        for outgoing in waiting:
            if self._stopping.is_set():
                break
            self._hand_over(outgoing)
        return bool(waiting)

    def _hand_over(self, outgoing: Outgoing) -> None:
        overdue = time.time() - outgoing.queued > LATE_SECONDS
        try:
            self._send(late(outgoing.payload) if overdue else outgoing.payload)
        except NotWanted as reason:
            log.debug("%s: an event is not told there: %s", self.name, reason)
            self._store.delivered([outgoing.row])
        except Refused as reason:
            log.error("%s: refuses an event for good: %s", self.name, reason)
            self._store.refuse(outgoing.row, str(reason))
        else:
            self._report(None)
            self._store.delivered([outgoing.row])

    def _report(self, problem: str | None) -> None:
        """Logs a change of state once, not at every attempt."""
        if problem == self._problem:
            return
        if problem is None:
            log.info("%s: takes events again", self.name)
        else:
            log.error("%s: %s; events wait in the store", self.name, problem)
        self._problem = problem
