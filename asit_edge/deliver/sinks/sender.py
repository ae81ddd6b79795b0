"""What goes from the store to a broker over one connection after the other, and what the broker's answers mean.

What is on its way is known by number, and an acknowledgement's reason code is the only proof of delivery: paho calls a
message published even when the broker has refused it. What was not acknowledged is sent again from the outbox.

No thread and no waiting here: `asit_edge.deliver.sinks.mqtt` has both.
"""

import logging
import random
import time
from collections.abc import Callable, Collection

from paho.mqtt.reasoncodes import ReasonCode

from asit_edge.config.delivery import Mqtt
from asit_edge.deliver.sinks.backlog import SendOrder
from asit_edge.deliver.sinks.base import MQTT
from asit_edge.deliver.sinks.denials import Denials
from asit_edge.deliver.sinks.in_flight import InFlight, Verdict, verdict
from asit_edge.deliver.sinks.retained import Announcement, RetainedState
from asit_edge.deliver.sinks.suspicion import Suspicion
from asit_edge.messages.event import late
from asit_edge.mqtt.connection import Connection, Limits
from asit_edge.store.rows import Outgoing
from asit_edge.store.store import Store

log = logging.getLogger(__name__)

IN_FLIGHT = 20
"""Messages sent and not yet acknowledged; bounds what paho holds in memory."""

KEPT_FREE = 5
"""Of these, how many the backlog leaves to new messages."""

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

DENIED = "Not authorized"
"""The reason code's name (135) for what access rules deny."""

MOST_REQUEUED = 1 << 30

SAY_AGAIN_AFTER = 60.0
"""Seconds of a connection after which a broker that remembers us gets the state once more, behind everything else."""

LEVEL_EXPIRY = 10
"""Seconds for which the broker may hold back a level."""


class Sender:
    """Sends one device's outbox and state. `connection` is used only between `up` and `down`."""

    def __init__(
        self,
        settings: Mqtt,
        root: str,
        store: Store,
        connection: Connection,
        broken_by_broker: Collection[str] = (),
        on_taken: Callable[[str], None] = lambda payload: None,
    ) -> None:
        """`root` is what topics of the outbox are relative to; `broken_by_broker` as in `RetainedState`. `on_taken` is
        told the payload of every message of the outbox that the broker has acknowledged."""
        self._settings, self._root = settings, root
        self._store, self._connection = store, connection
        self.state = RetainedState(broken_by_broker)
        self._say_again_at: float | None = None
        self._limits: Limits | None = None
        self._in_flight = InFlight()
        self._taken: list[int] = []
        self._order = SendOrder(0, 0, 0, settings.backlog_rate, time.monotonic())
        self._retry_at: float | None = None
        self._suspicion = Suspicion(STRIKES, STRIKE_SECONDS, IN_FLIGHT)
        self._refusals_logged: set[str] = set()
        self._denials = Denials(store.refused_topics(MQTT, DENIED))
        self._on_taken = on_taken

    @property
    def problem(self) -> str:
        """What the broker refuses although it is there, in words for the user; "" if nothing."""
        if not self._denials.topics:
            return ""
        return (
            f"MQTT broker {self._connection.where}: its access rules deny {', '.join(self._denials.topics)}; what was "
            "meant for there is kept and sent once they allow it"
        )

    @property
    def waits_for_rate(self) -> bool:
        """There is a backlog, and nothing to do until some more of it may be sent."""
        return self._limits is not None and self._order.boundary > 0 and not self._in_flight

    def up(self, limits: Limits) -> None:
        """There is a connection: the outbox is sent from its beginning, and what the broker lacks of the state."""
        self._limits = limits
        self._in_flight = InFlight()
        for topic in self._denials.topics:  # one, to see whether the rules have changed
            self._store.requeue(MQTT, topic, DENIED, 1)
        self._begin_anew()
        self.state.connected(remembers=limits.remembers)
        self._say_again_at = time.monotonic() + SAY_AGAIN_AFTER if limits.remembers else None

    def down(self) -> None:
        """The connection is gone, and with it what was on its way."""
        self._limits = None
        self.state.disconnected()
        lost = self._in_flight.abandon(time.monotonic())
        guilty = self._suspicion.broke(list(lost.rows), lost.seconds)
        if guilty is not None:
            self._refuse(lost.rows[guilty], f"the broker closed the connection on it, {STRIKES} times")

    def acknowledged(self, number: int, reason: ReasonCode) -> None:
        """The broker has answered."""
        message = self._in_flight.answered(number)
        if message is None:
            return
        if isinstance(message, Outgoing):
            self._suspicion.answered(message.row)
        answer = verdict(reason.value)
        if answer is Verdict.NOT_NOW:
            log.warning("MQTT broker %s: did not take a message (%s); trying again", self._connection.where, reason)
            self._retry_at = time.monotonic() + RETRY_AFTER * random.uniform(0.75, 1.25)
            if isinstance(message, Announcement):
                self.state.put_back(message)
        elif isinstance(message, Outgoing):
            if answer is Verdict.TAKEN:
                self._taken.append(message.row)
                self._on_taken(message.payload)
                self._allowed(message.topic)
            else:
                if str(reason) == DENIED:
                    self._denials.denied(message.topic, time.monotonic())
                self._refuse(message, str(reason))
        elif answer is Verdict.REFUSED:
            self.state.refused(message)
            self._log_refusal(message.topic, reason)
        elif self.state.taken(message):
            self._store.remember_retained(self.state.topics)

    def _allowed(self, topic: str) -> None:
        """The broker has taken something on a topic: what its rules had denied there is sent after all."""
        if not self._denials.allowed(topic, time.monotonic()):
            return
        self._refusals_logged = {one for one in self._refusals_logged if not one.startswith(f"{topic} ")}
        count = self._store.requeue(MQTT, topic, DENIED, MOST_REQUEUED)
        log.info("MQTT broker %s: allows %s now; %d kept message(s) follow", self._connection.where, topic, count)
        if count:
            self.begin_anew()

    def begin_anew(self) -> None:
        """Old messages have come into the outbox: it is sent from its beginning, once nothing is on its way."""
        self._retry_at = time.monotonic()

    def clear_old_topics(self, kept: set[str] | None = None) -> None:
        """Topics that earlier runs left at the broker, and that are not part of the state now, are to be emptied.

        `kept` are those that are this device's own; None for all that the store remembers.
        """
        self.state.clear_others(self._store.retained() if kept is None else kept)
        self._store.remember_retained(self.state.topics)

    def retire(self, topics: set[str]) -> None:
        """Topics that are part of the state no more are to be emptied."""
        self.state.retire(topics)
        self._store.remember_retained(self.state.topics)

    def send_level(self, topic: str, payload: str) -> None:
        """Without acknowledgement, and only if there is a connection."""
        if self._limits is not None:
            properties = self._connection.properties(expiry=LEVEL_EXPIRY, json=True)
            self._connection.publish(topic, payload, 0, properties=properties)

    def settle(self) -> None:
        """The store forgets what the broker has taken, many at once."""
        if self._taken:
            self._store.delivered(self._taken)
            self._taken = []

    def send(self) -> bool:
        """Sends what may be sent now. True if nothing is left: the broker has everything."""
        if self._limits is None or not self._connection.up:
            return False
        now = time.monotonic()
        if self._in_flight.overdue(now, ACK_SECONDS):
            self._connection.renew("acknowledges nothing; connecting anew")
            return False
        if self._retry_at is not None:
            # A message failed for now: let the others come down, then begin again with the oldest.
            if self._in_flight or now < self._retry_at:
                return False
            self._begin_anew()
        # Events before state: an alarm does not wait behind some hundred topics, and gets through where no connection
        # lasts for long enough to send them all.
        order = self._order
        order.live_after = self._send_rows(self._limits, order.live_after, None, self._room(self._limits))
        while self.state and self._room(self._limits) > 0:
            self._send_announcement(self.state.next())
        if order.boundary:
            free = self._room(self._limits) - (0 if self._suspicion.careful else KEPT_FREE)
            room, before = order.backlog_room(free, now), len(self._in_flight)
            order.backlog_after = self._send_rows(self._limits, order.backlog_after, order.boundary, room)
            order.spend(len(self._in_flight) - before)
        if self._in_flight or self.state or order.boundary:
            return False
        if self._store.count_waiting(MQTT):  # the store could not be read for a while, and something was overlooked
            self._begin_anew()
            return False
        self._say_again(now)
        return True

    def _say_again(self, now: float) -> None:
        """Sends one more of what the broker should have anyway."""
        if self._say_again_at is not None and now >= self._say_again_at:
            self._say_again_at = None
            self.state.say_again()
        while self.state.unhurried and not self._in_flight:
            if announcement := self.state.next_unhurried():
                self._send_announcement(announcement)

    def _begin_anew(self) -> None:
        """Sends the outbox from its beginning; what has waited longer than the newest alarms may be backlog."""
        self.settle()
        newest = self._store.last_row
        old = self._store.last_row_before(MQTT, time.time() - FRESH_SECONDS)
        waiting = self._store.count_waiting(MQTT, up_to=old)
        self._order = SendOrder(newest, old, waiting, self._settings.backlog_rate, time.monotonic())
        self._retry_at = None

    def _room(self, limits: Limits) -> int:
        """How many more messages may be on their way."""
        return (1 if self._suspicion.careful else limits.in_flight) - len(self._in_flight)

    def _send_rows(self, limits: Limits, after: int, up_to: int | None, room: int) -> int:
        """Sends the next messages behind a row; returns the row behind which to go on."""
        if room <= 0:
            return after
        found = self._store.waiting(MQTT, after, room, up_to)
        if not found and up_to is not None:
            self._order.backlog_done()
        for outgoing in found:
            self._send_row(limits, outgoing)
        return found[-1].row if found else after

    def _send_row(self, limits: Limits, outgoing: Outgoing) -> None:
        topic, payload = f"{self._root}/{outgoing.topic}", outgoing.payload
        user: list[tuple[str, str]] = []
        if self._order.is_late(outgoing.row, time.time() - outgoing.queued):
            payload = late(payload)
            user = [("replayed", "true")]
        size, most = len(topic.encode()) + len(payload.encode()) + PACKET_OVERHEAD, limits.packet_bytes
        if most is not None and size > most:
            self._refuse(outgoing, f"larger than the broker takes ({most} bytes)")
            return
        properties = self._connection.properties(expiry=self._settings.expiry, json=True, user=user)
        number = self._connection.publish(topic, payload, properties=properties)
        self._in_flight.sent(number, outgoing, time.monotonic())

    def _send_announcement(self, message: Announcement) -> None:
        properties = self._connection.properties(json=message.payload.startswith("{"))
        number = self._connection.publish(message.topic, message.payload, retain=message.retain, properties=properties)
        self._in_flight.sent(number, message, time.monotonic())

    def _refuse(self, outgoing: Outgoing, reason: str) -> None:
        self._log_refusal(outgoing.topic, reason)
        self._store.refuse(outgoing.row, reason)

    def _log_refusal(self, topic: str, reason: object) -> None:
        """Once for each kind of topic: the store keeps the rest."""
        kind = topic.rpartition("/sound/")[0] or topic
        if f"{kind} {reason}" not in self._refusals_logged:
            self._refusals_logged.add(f"{kind} {reason}")
            log.error(
                "MQTT broker %s: refuses a message for good (%s); check its access rules and limits for %s",
                *(self._connection.where, reason, topic),
            )
