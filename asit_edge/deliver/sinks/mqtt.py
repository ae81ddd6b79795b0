"""MQTT: takes messages from the store's outbox to the broker, keeps the retained state there, receives commands.

One thread decides everything, with `asit_edge.deliver.sinks.sender`; all that happens reaches it through one inbox.
What was not acknowledged is sent again, over the next connection or by the next run.

New messages, and those of the last minute, go first. What else waited through an outage (the backlog) follows at a
bounded rate, in its own order, unless it is gone within a second: then it goes first, and the order is that of events.

Events are queued in the store. State (status, availability, sounds, discovery) is not: its last value counts, and every
new connection gets what the broker has not acknowledged of it, or all of it. Levels are sent if there is a connection,
or else never.
"""

import logging
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from paho.mqtt.reasoncodes import ReasonCode

from asit_edge.config.delivery import Mqtt
from asit_edge.deliver.sinks.retained import Announcement
from asit_edge.deliver.sinks.sender import IN_FLIGHT, Sender
from asit_edge.mqtt.connection import Callbacks, Connection, Limits, Message
from asit_edge.mqtt.topics import Topics
from asit_edge.store.store import Store

log = logging.getLogger(__name__)


class _Acknowledged(NamedTuple):
    number: int
    reason: ReasonCode


class _Up(NamedTuple):
    limits: Limits


class _Down(NamedTuple):
    """The connection is gone."""


class _Wake(NamedTuple):
    """The outbox has something new, or the thread is to end."""


class _SetState(NamedTuple):
    topic: str
    payload: str


class _ResendState(NamedTuple):
    """The whole state is to be sent anew."""


class _BeginAnew(NamedTuple):
    """The outbox is to be sent from its beginning."""


class _ClearOldTopics(NamedTuple):
    """Of these topics of earlier runs, what is no longer part of the state is to be emptied."""

    kept: set[str]


class _Retire(NamedTuple):
    """These topics are part of the state no more: they are to be emptied."""

    topics: set[str]


class _Publish(NamedTuple):
    topic: str
    payload: str
    qos: Literal[0, 1]


class _Flush(NamedTuple):
    """`done` is to be set once the broker has everything."""

    done: threading.Event


_Item = (
    _Acknowledged
    | _Up
    | _Down
    | _Wake
    | _SetState
    | _ResendState
    | _BeginAnew
    | _ClearOldTopics
    | _Retire
    | _Publish
    | _Flush
)


class MqttSink:
    """The way of one device's messages to its broker. `store` must queue for the sink `mqtt`."""

    def __init__(
        self,
        settings: Mqtt,
        topics: Topics,
        store: Store,
        *,
        subscriptions: Iterable[str] = (),
        on_message: Callable[[Message], None] = lambda message: None,
        on_taken: Callable[[str], None] = lambda payload: None,
    ) -> None:
        """`on_taken` as in `Sender`. Raises WrongUse if certificates or the password cannot be read. Nothing is
        connected yet.
        """
        self._subscriptions = list(subscriptions)
        self._inbox: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        callbacks = Callbacks(
            up=lambda limits: self._inbox.put(_Up(limits)),
            down=lambda: self._inbox.put(_Down()),
            message=on_message,
            acknowledged=lambda number, reason: self._inbox.put(_Acknowledged(number, reason)),
        )
        client_id = settings.client_id or f"asit-edge-{topics.device}"
        self.connection = Connection(settings, client_id, callbacks, availability=topics.available, in_flight=IN_FLIGHT)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._deliver, name="mqtt-deliver", daemon=True)
        self._available = topics.available
        self._sender = Sender(settings, topics.root, store, self.connection, [topics.available], on_taken)
        self._flushes: list[threading.Event] = []

    @property
    def problem(self) -> str | None:
        """Why nothing is delivered at the moment, in words for the user; None while connected."""
        return self.connection.problem

    @property
    def up(self) -> bool:
        """Whether there is a connection."""
        return self.connection.up

    @property
    def refusal(self) -> str:
        """What a broker that is there refuses, in words for the user; "" if nothing."""
        return self._sender.problem

    def start(self) -> None:
        self.set_state(self._available, "online")
        self.connection.start()
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the outbox."""
        self._inbox.put(_Wake())

    def set_state(self, topic: str, payload: str) -> None:
        """Sets a retained state; every change is sent while there is a connection, the last value otherwise."""
        self._inbox.put(_SetState(topic, payload))

    def publish(self, topic: str, payload: str, *, qos: Literal[0, 1] = 1) -> None:
        """Sends something that is worth nothing later: while there is no connection it is dropped."""
        self._inbox.put(_Publish(topic, payload, qos))

    def resend_state(self) -> None:
        """Sends the whole state anew, as after a new connection."""
        self._inbox.put(_ResendState())

    def begin_anew(self) -> None:
        """Sends the outbox from its beginning: old messages have come into it."""
        self._inbox.put(_BeginAnew())

    def clear_old_topics(self, kept: set[str]) -> None:
        """To be called once the state is set: the broker forgets what earlier runs left there, which is `kept`."""
        self._inbox.put(_ClearOldTopics(kept))

    def retire(self, topics: set[str]) -> None:
        """These are part of the state no more: the broker forgets them, behind what has been said before."""
        self._inbox.put(_Retire(topics))

    def drain(self, seconds: float) -> bool:
        """Waits until the broker has everything, at most so long. False if it has not."""
        done = threading.Event()
        self._inbox.put(_Flush(done))
        return done.wait(seconds)

    def first_attempt(self, seconds: float) -> bool:
        """Waits until the first attempt to connect has come to something, at most so long. True if the last did."""
        return self.connection.first_attempt(seconds)

    def stop(self) -> None:
        """Says `offline` and disconnects. What is still in the outbox stays there."""
        self._stopping.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self.connection.stop()
        self._handle_rest()

    # Everything below runs in the delivery thread.

    def _deliver(self) -> None:
        while not self._stopping.is_set():
            try:
                self._receive(0.05 if self._sender.waits_for_rate else 0.5)
                if self._sender.send():
                    for done in self._flushes:
                        done.set()
                    self._flushes = []
            except Exception:
                log.exception("MQTT broker %s: delivery failed; it is tried again", self.connection.where)
                self._stopping.wait(1.0)

    def _receive(self, seconds: float) -> None:
        """Handles all that has happened, after waiting for at most so long."""
        try:
            self._handle(self._inbox.get(timeout=seconds))
        except queue.Empty:
            return
        self._handle_rest()

    def _handle_rest(self) -> None:
        for _ in range(1_000):
            try:
                self._handle(self._inbox.get_nowait())
            except queue.Empty:
                break
        self._sender.settle()

    def _handle(self, item: _Item) -> None:
        match item:
            case _Acknowledged(number, reason):
                self._sender.acknowledged(number, reason)
            case _Up(limits):
                if self._subscriptions:
                    self.connection.subscribe(*self._subscriptions)
                self._sender.up(limits)
            case _Down():
                self._sender.down()
            case _SetState(topic, payload):
                self._sender.state.update(topic, payload)
            case _ResendState():
                self._sender.state.announce_all()
            case _BeginAnew():
                self._sender.begin_anew()
            case _ClearOldTopics(kept):
                self._sender.clear_old_topics(kept)
            case _Retire(topics):
                self._sender.retire(topics)
            case _Publish(topic, payload, qos=0):
                self._sender.send_level(topic, payload)
            case _Publish(topic, payload):
                self._sender.state.announce(Announcement(topic, payload, retain=False))
            case _Flush(done):
                self._flushes.append(done)
            case _Wake():
                pass
