"""MQTT: takes messages from the store's outbox to the broker, shows the present state, hears commands.

One thread decides everything; all that happens reaches it through one queue. What is on its way is known by number,
and an acknowledgement's reason code is the only proof of delivery: paho calls a message published even when the broker
has refused it. What was not acknowledged is sent again from the outbox, over the next connection or by the next run.

New messages, and those of the last minute, go first. What else waited through an outage (the backlog) follows at a
bounded rate, in its own order, unless it is gone within a second: then it goes first, and the order is that of events.

Events are queued in the store. State (availability, status, sounds, discovery) is not: its last value counts, so
every new connection begins by saying all of it. Levels are sent if there is a connection, or else never.
"""

import logging
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from paho.mqtt.reasoncodes import ReasonCode

from asit_edge.config.delivery import Mqtt
from asit_edge.deliver.sinks.base import LATE_SECONDS
from asit_edge.deliver.sinks.pacing import Pace, Suspicion
from asit_edge.messages.event import late
from asit_edge.mqtt.connection import Callbacks, Connection, Limits, Message
from asit_edge.mqtt.topics import Topics
from asit_edge.store.rows import Outgoing
from asit_edge.store.store import Store

log = logging.getLogger(__name__)

NAME = "mqtt"
IN_FLIGHT = 20
"""Messages sent and not yet acknowledged; bounds what paho holds in memory."""

KEPT_FREE = 5
"""Of these, how many the backlog leaves to new messages."""

REFUSED_FOR_GOOD = {135, 144, 149, 153}
"""Not authorised, topic name invalid, packet too large, payload format invalid (MQTT 5, section 3.4.2.1)."""

RETRY_AFTER = 5.0
ACK_SECONDS = 20.0
"""After this long without an acknowledgement the connection is given up for a new one."""

FRESH_SECONDS = 60.0
"""What is younger when the connection comes goes before the backlog."""


STRIKES = 6
STRIKE_SECONDS = 2.0
"""A message, sent alone, on which so many connections broke, each so soon, is taken for the cause."""

PACKET_OVERHEAD = 256
"""Upper bound of what MQTT adds to topic and payload, properties included."""

LEVEL_EXPIRY = 10
MOST_TALK = 10_000
"""State changes that may wait for a slow broker, before it is told the whole state anew instead."""


class _Acknowledged(NamedTuple):
    number: int
    reason: ReasonCode


class _Up(NamedTuple):
    limits: Limits


class _Down(NamedTuple):
    pass


class _Flush(NamedTuple):
    done: threading.Event


class _Say(NamedTuple):
    """Something that is not in the store. Retained: a state, of which the last value counts."""

    topic: str
    payload: str
    retain: bool = False
    qos: int = 1


_Item = _Acknowledged | _Up | _Down | _Say | _Flush | None


class _Flight(NamedTuple):
    outgoing: Outgoing | None
    say: _Say | None
    at: float


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
    ) -> None:
        """Raises WrongUse if certificates or the password cannot be read. Nothing is connected yet."""
        self._settings = settings
        self._topics = topics
        self._store = store
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
        self._state: dict[str, str] = {}
        self._stale: set[str] = set()
        self._talk: deque[_Say] = deque()
        self._flying: dict[int, _Flight] = {}
        self._landed: list[int] = []
        self._limits: Limits | None = None
        self._waited = self._boundary = self._live_after = self._backlog_after = 0
        self._pace = Pace(settings.backlog_rate, time.monotonic())
        self._retry_at: float | None = None
        self._suspicion = Suspicion(STRIKES, STRIKE_SECONDS, IN_FLIGHT)
        self._grumbled: set[str] = set()
        self._flushes: list[threading.Event] = []

    @property
    def problem(self) -> str | None:
        """Why nothing is delivered at the moment, in words for the user; None while connected."""
        return self.connection.problem

    def start(self) -> None:
        self.connection.start()
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the outbox."""
        self._inbox.put(None)

    def show(self, topic: str, payload: str) -> None:
        """Sets a retained state; every change is told while there is a connection, the last value otherwise."""
        self._inbox.put(_Say(topic, payload, retain=True))

    def say(self, topic: str, payload: str, *, qos: int = 1) -> None:
        """Tells something that is worth nothing later: while there is no connection it is dropped."""
        self._inbox.put(_Say(topic, payload, qos=qos))

    def show_again(self) -> None:
        """Says the whole state anew, as after a new connection."""
        self._inbox.put(_Say("", ""))

    def clear_old_topics(self) -> None:
        """To be called once the state has been shown: the broker forgets what earlier runs left there."""
        self._inbox.put(_Say("", "", retain=True))

    def drain(self, seconds: float) -> bool:
        """Waits until the broker has everything, at most so long. False if it has not."""
        done = threading.Event()
        self._inbox.put(_Flush(done))
        return done.wait(seconds)

    def first_attempt(self, seconds: float) -> bool:
        """Waits until the first attempt to connect has come to something, at most so long. True if connected."""
        return self.connection.first_attempt(seconds)

    def stop(self) -> None:
        """Says `offline` and disconnects. What is still in the outbox stays there."""
        self._stopping.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self.connection.stop()
        self._drain_inbox()
        self._settle()

    # Everything below runs in the delivery thread.

    def _deliver(self) -> None:
        while not self._stopping.is_set():
            try:
                self._receive(self._patience())
                self._send()
            except Exception:
                log.exception("MQTT broker %s: delivery failed; it is tried again", self.connection.where)
                self._stopping.wait(1.0)

    def _patience(self) -> float:
        """How long to wait for news: not long while the backlog has its turn soon."""
        waits_for_tokens = self._limits is not None and self._boundary and not self._flying
        return 0.05 if waits_for_tokens else 0.5

    def _receive(self, seconds: float) -> None:
        try:
            self._handle(self._inbox.get(timeout=seconds))
        except queue.Empty:
            return
        self._drain_inbox()
        self._settle()

    def _drain_inbox(self) -> None:
        for _ in range(1_000):
            try:
                self._handle(self._inbox.get_nowait())
            except queue.Empty:
                return

    def _handle(self, item: _Item) -> None:
        if isinstance(item, _Acknowledged):
            self._on_acknowledged(item)
        elif isinstance(item, _Up):
            self._on_up(item.limits)
        elif isinstance(item, _Down):
            self._on_down()
        elif isinstance(item, _Say):
            self._on_say(item)
        elif isinstance(item, _Flush):
            self._flushes.append(item.done)

    def _settle(self) -> None:
        """The store forgets what has landed, many at once."""
        if self._landed:
            self._store.delivered(self._landed)
            self._landed = []

    def _on_up(self, limits: Limits) -> None:
        self._limits = limits
        self._flying = {}
        if self._subscriptions:
            self.connection.subscribe(*self._subscriptions)
        self._begin_anew()
        self._talk_state()

    def _begin_anew(self) -> None:
        """Decides what is backlog: what has waited longer than the newest alarms, if it takes more than a second."""
        self._settle()
        self._waited = self._store.last_row
        old = self._store.last_row_before(NAME, time.time() - FRESH_SECONDS)
        much = self._store.count_waiting(NAME, up_to=old) > self._settings.backlog_rate
        self._boundary = old if much else 0
        self._live_after, self._backlog_after = self._boundary, 0
        self._pace, self._retry_at = Pace(self._settings.backlog_rate, time.monotonic()), None

    def _talk_state(self) -> None:
        self._talk = deque(_Say(topic, "", retain=True) for topic in sorted(self._stale))
        self._talk += [_Say(topic, payload, retain=True) for topic, payload in self._state.items()]

    def _on_down(self) -> None:
        self._limits = None
        self._talk.clear()
        sent = {flight.outgoing.row: flight for flight in self._flying.values() if flight.outgoing}
        self._flying = {}
        if sent:
            since = time.monotonic() - max(flight.at for flight in sent.values())
            guilty = sent.get(self._suspicion.broke(list(sent), since) or 0)
            if guilty and guilty.outgoing:
                self._refuse(guilty.outgoing, f"the broker closed the connection on it, {STRIKES} times")

    def _on_say(self, say: _Say) -> None:
        if not say.topic:
            if say.retain:
                self._find_stale()
            elif self._limits is not None:
                self._talk_state()
            return
        if say.retain:
            self._state[say.topic] = say.payload
            self._stale.discard(say.topic)
        if self._limits is None:
            return
        if say.qos == 0:
            self.connection.publish(
                say.topic, say.payload, 0, properties=self.connection.properties(expiry=LEVEL_EXPIRY, json=True)
            )
        elif len(self._talk) < MOST_TALK:
            self._talk.append(say)
        else:
            self._talk_state()

    def _find_stale(self) -> None:
        known = self._store.retained()
        self._stale = known - set(self._state)
        self._store.remember_retained(known | set(self._state))
        if self._limits is not None:
            self._talk.extendleft(_Say(topic, "", retain=True) for topic in sorted(self._stale))

    def _send(self) -> None:
        if self._limits is None or not self.connection.up:
            return
        now = time.monotonic()
        if any(now - flight.at > ACK_SECONDS for flight in self._flying.values()):
            self.connection.renew(f"MQTT broker {self.connection.where}: acknowledges nothing; connecting anew")
            return
        if self._retry_at is not None:
            # A message failed for now: let the others come down, then begin again with the oldest.
            if self._flying or now < self._retry_at:
                return
            self._begin_anew()
        while self._talk and self._room():
            self._send_say(self._talk.popleft())
        self._live_after = self._send_rows(self._live_after, None, self._room())
        if self._boundary:
            room = min(self._room() - (0 if self._suspicion.careful else KEPT_FREE), self._pace.allowance(now))
            before = len(self._flying)
            self._backlog_after = self._send_rows(self._backlog_after, self._boundary, room)
            self._pace.spend(len(self._flying) - before)
        if not (self._flying or self._talk or self._boundary):
            self._rest()

    def _rest(self) -> None:
        """Nothing is left to be sent; unless the store could not be read for a while, and something was overlooked."""
        if self._store.count_waiting(NAME):
            self._begin_anew()
            return
        for done in self._flushes:
            done.set()
        self._flushes = []

    def _room(self) -> int:
        assert self._limits is not None
        return (1 if self._suspicion.careful else self._limits.in_flight) - len(self._flying)

    def _send_rows(self, after: int, up_to: int | None, room: int) -> int:
        """Sends the next messages behind a row; returns the row behind which to go on."""
        if room <= 0:
            return after
        found = self._store.waiting(NAME, after, room, up_to)
        if not found and up_to is not None:
            self._boundary = 0  # the backlog is on its way
        for outgoing in found:
            self._send_row(outgoing, backlog=up_to is not None)
        return found[-1].row if found else after

    def _send_row(self, outgoing: Outgoing, *, backlog: bool) -> None:
        assert self._limits is not None
        topic, payload = f"{self._topics.root}/{outgoing.topic}", outgoing.payload
        user: list[tuple[str, str]] = []
        # Where there is a backlog, it is what is late: so the late ones keep their order, and so do the others.
        waited = outgoing.row <= self._waited and time.time() - outgoing.queued > LATE_SECONDS
        if backlog or (waited and not self._boundary):
            payload = late(payload)
            user = [("replayed", "true")]
        size, most = len(topic.encode()) + len(payload.encode()) + PACKET_OVERHEAD, self._limits.packet_bytes
        if most is not None and size > most:
            self._refuse(outgoing, f"larger than the broker takes ({most} bytes)")
            return
        properties = self.connection.properties(expiry=self._settings.expiry, json=True, user=user)
        number = self.connection.publish(topic, payload, properties=properties)
        self._flying[number] = _Flight(outgoing, None, time.monotonic())

    def _send_say(self, say: _Say) -> None:
        properties = self.connection.properties(json=say.payload.startswith("{"))
        number = self.connection.publish(say.topic, say.payload, retain=say.retain, properties=properties)
        self._flying[number] = _Flight(None, say, time.monotonic())

    def _on_acknowledged(self, item: _Acknowledged) -> None:
        flight = self._flying.pop(item.number, None)
        if flight is None:
            return
        if flight.outgoing:
            self._suspicion.answered(flight.outgoing.row)
        if not item.reason.is_failure:
            if flight.outgoing:
                self._landed.append(flight.outgoing.row)
            elif flight.say and flight.say.topic in self._stale and not flight.say.payload:
                self._stale.discard(flight.say.topic)
                self._store.remember_retained(self._stale | set(self._state))
        elif item.reason.value in REFUSED_FOR_GOOD:
            if flight.outgoing:
                self._refuse(flight.outgoing, str(item.reason))
            elif flight.say:
                self._grumble(flight.say.topic, item.reason)
        else:
            log.warning("MQTT broker %s: did not take a message (%s); trying again", self.connection.where, item.reason)
            self._retry_at = time.monotonic() + RETRY_AFTER * random.uniform(0.75, 1.25)
            if flight.say:
                self._talk.appendleft(flight.say)

    def _refuse(self, outgoing: Outgoing, reason: str) -> None:
        self._grumble(outgoing.topic, reason)
        self._store.refuse(outgoing.row, reason)

    def _grumble(self, topic: str, reason: object) -> None:
        """Once for each kind of topic: the store keeps the rest."""
        kind = topic.rpartition("/sound/")[0] or topic
        if f"{kind} {reason}" not in self._grumbled:
            self._grumbled.add(f"{kind} {reason}")
            log.error(
                "MQTT broker %s: refuses a message for good (%s); check its access rules and limits for %s",
                *(self.connection.where, reason, topic),
            )
