"""One lasting connection to an MQTT broker: found, kept, lost, found again. What is sent over it is not decided here.

MQTT 5 where the broker speaks it, else 3.1.1; TLS with verified certificates or none at all, never one for the other;
websockets; a fixed client id whose session the broker keeps. Attempts are spaced with growing, jittered pauses, which
only a connection that lasts brings back to the shortest. A change is logged once, not at every attempt.
"""

import logging
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from asit_edge.backoff import Backoff
from asit_edge.config.delivery import Mqtt
from asit_edge.errors import WrongUse, one_line
from asit_edge.mqtt import problems

log = logging.getLogger(__name__)

ANSWER_SECONDS = 5.0
"""How long a broker may take to answer a connection."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
LASTING = 10.0
"""Seconds after which a connection counts as a success."""

WORTHWHILE = 1.0
"""Seconds after which a connection has been of use, so that the next attempt may follow quickly."""

MANY_BRIEF = 3
"""So many connections in a row that did not last mean that something is wrong."""

SESSION_SECONDS = 86_400
"""How long the broker keeps the session of a client that is away (MQTT 5; a 3.1.1 broker decides for itself)."""


class Message(NamedTuple):
    """What the broker sent."""

    topic: str
    payload: bytes
    retained: bool


class Limits(NamedTuple):
    """What the broker takes, as it stated when the connection was made."""

    in_flight: int
    packet_bytes: int | None
    remembers: bool = False
    """Whether it has kept our session, and so what it had acknowledged."""


@dataclass(frozen=True)
class Callbacks:
    """Called from the connection's threads; they must return at once."""

    up: Callable[[Limits], None]
    down: Callable[[], None] = lambda: None
    message: Callable[[Message], None] = lambda message: None
    acknowledged: Callable[[int, ReasonCode], None] = lambda number, reason: None
    subscribed: Callable[[], None] = lambda: None


class Connection:
    """A client of one broker."""

    def __init__(
        self,
        settings: Mqtt,
        client_id: str,
        callbacks: Callbacks,
        *,
        availability: str | None = None,
        keep_session: bool = True,
        in_flight: int = 20,
        waiting: str = "events wait in the store",
    ) -> None:
        """`availability` is a topic: the broker publishes `offline` on it when we are gone, so do we when we go; to say
        `online` is left to others. `waiting` is what happens to messages meanwhile, in words for the user.

        Raises WrongUse if certificates or the password cannot be read. Nothing is connected yet.
        """
        assert settings.host is not None
        self._settings = settings
        self._client_id = client_id
        self._callbacks = callbacks
        self._availability = availability
        self._keep_session = keep_session
        self._in_flight = in_flight
        self._waiting = waiting
        self.where = f"{settings.host}:{settings.effective_port}"
        self._tls = _tls_context(settings)
        self._password = settings.password()
        self._stopping = threading.Event()
        self._up = threading.Event()
        self._attempted = threading.Event()
        self._over = threading.Event()
        self._problem: str | None = f"MQTT broker {self.where}: not connected yet"
        self.refused_subscription = ""
        """Why the broker has refused the newest subscription, in its words; "" if it has not."""
        self._falls_back = self._welcomed = self._came_up = False
        self._explained = False
        """Whether the present attempt has come to something: an answer, or a problem that was reported."""
        self._up_at = 0.0
        self._brief = 0
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._unanswered = threading.Timer(ANSWER_SECONDS, lambda: None)
        old = settings.protocol == "3.1.1"
        self._protocol = MQTTProtocolVersion.MQTTv311 if old else MQTTProtocolVersion.MQTTv5
        self._client = self._new_client()
        self._thread = threading.Thread(target=self._connect, name="mqtt-connect", daemon=True)
        if self._password and not settings.tls.wanted and settings.host not in ("localhost", "127.0.0.1", "::1"):
            log.warning("MQTT broker %s: the password goes over the network unencrypted; see mqtt.tls", self.where)

    @property
    def up(self) -> bool:
        return self._up.is_set()

    @property
    def problem(self) -> str | None:
        """Why nothing is delivered at the moment, in words for the user; None while connected."""
        return self._problem

    @property
    def speaks_5(self) -> bool:
        return self._protocol == MQTTProtocolVersion.MQTTv5

    def start(self) -> None:
        self._thread.start()

    def first_attempt(self, seconds: float) -> bool:
        """Waits until the first attempt to connect has come to something, at most so long. True if the last did."""
        self._attempted.wait(seconds)
        return self.up or self._came_up

    def publish(
        self, topic: str, payload: str | bytes, qos: Literal[0, 1] = 1, *, retain: bool = False, properties: Any = None
    ) -> int:
        """Sends, and returns the number under which it will be acknowledged. Raises ValueError if MQTT forbids it."""
        return self._client.publish(topic, payload, qos=qos, retain=retain, properties=properties).mid

    def subscribe(self, *filters: str) -> None:
        self._client.subscribe([(one, 1) for one in filters])

    def properties(
        self, *, expiry: int | None = None, json: bool = False, user: list[tuple[str, str]] | None = None
    ) -> Properties | None:
        """MQTT 5 properties of a message; None where the broker does not know them."""
        if not self.speaks_5:
            return None
        properties = Properties(PacketTypes.PUBLISH)
        if expiry is not None:
            properties.MessageExpiryInterval = expiry
        if json:
            properties.PayloadFormatIndicator = 1
            properties.ContentType = "application/json"
        if user:
            properties.UserProperty = user
        return properties

    def renew(self, problem: str) -> None:
        """Gives this connection up for a new one; `problem` is what the broker does wrong."""
        self._report(problem)
        self._client.disconnect()

    def stop(self) -> None:
        """Says `offline` and disconnects."""
        self._stopping.set()
        if self.up and self._availability:
            try:
                self._client.publish(self._availability, "offline", qos=1, retain=True).wait_for_publish(2)
            except (RuntimeError, ValueError):
                log.warning("MQTT broker %s: could not be told that this device goes offline", self.where)
        self._client.disconnect()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _new_client(self) -> paho.Client:
        """For one connection: a client that has lost one would send again by itself, old states over newer ones."""
        settings = self._settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=None if self.speaks_5 else not self._keep_session,
            protocol=self._protocol,
            transport=settings.transport,
            reconnect_on_failure=False,
        )
        client.username = settings.username
        client.password = self._password
        client.max_inflight_messages_set(self._in_flight)
        if settings.transport == "websockets":
            client.ws_set_options(path=settings.path)
        if self._availability:
            client.will_set(self._availability, "offline", qos=1, retain=True)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = lambda _client, _data, mid, reason, _properties: self._callbacks.acknowledged(mid, reason)
        client.on_subscribe = self._on_subscribe
        client.on_message = lambda _client, _data, message: _hand_on(message, self._callbacks.message)
        return client

    def _connect(self) -> None:
        while not self._stopping.is_set():
            self._unanswered = threading.Timer(ANSWER_SECONDS, self._on_no_answer, [self._client])
            self._unanswered.daemon = True
            self._over.clear()
            self._explained = False
            try:
                self._open()
                self._unanswered.start()
                # In paho's own thread: otherwise whoever publishes writes to the socket, beside the one who reads
                # from it, which TLS does not survive.
                self._client.loop_start()
                self._over.wait()
            except (OSError, ValueError) as error:
                self._report(problems.no_connection(error, self._settings))
            finally:
                self._unanswered.cancel()
                self._client.loop_stop()
            self._came_up = self.up
            if self.up:
                self._up.clear()
                self._callbacks.down()
            if self._falls_back:
                log.info("MQTT broker %s: does not speak MQTT 5, falling back to 3.1.1", self.where)
                self._protocol = MQTTProtocolVersion.MQTTv311
                self._falls_back = False
            else:
                self._stopping.wait(self._backoff.pause())
            self._client = self._new_client()

    def _open(self) -> None:
        settings = self._settings
        properties = None
        clean: Any = paho.MQTT_CLEAN_START_FIRST_ONLY
        if self.speaks_5:
            clean = not self._keep_session
            if self._keep_session:
                properties = Properties(PacketTypes.CONNECT)
                properties.SessionExpiryInterval = SESSION_SECONDS
        self._client.connect(
            settings.host or "", settings.effective_port, settings.keepalive, clean_start=clean, properties=properties
        )

    def _on_connect(self, client: paho.Client, _data: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:
        self._unanswered.cancel()
        self._explained = True
        if reason.is_failure:
            self._falls_back = str(reason) == problems.UNSUPPORTED_PROTOCOL and self._may_fall_back()
            if not self._falls_back:
                self._report(problems.refused(reason, self._settings))
            client.disconnect()
            return
        self._welcomed = True
        self._up_at = time.monotonic()
        self._report(None)
        limits = Limits(
            min(getattr(properties, "ReceiveMaximum", self._in_flight), self._in_flight),
            getattr(properties, "MaximumPacketSize", None),
            flags.session_present,
        )
        self._up.set()
        self._attempted.set()
        self._callbacks.up(limits)

    def _on_no_answer(self, client: paho.Client) -> None:
        """The broker took the connection and does not answer: some do so when they cannot read MQTT 5."""
        self._explained = True
        self._falls_back = self._may_fall_back()
        if not self._falls_back:
            self._report(problems.NO_ANSWER)
        client.disconnect()

    def _may_fall_back(self) -> bool:
        """Only before the first success: after it the protocol is known."""
        return self._settings.protocol == "auto" and not self._welcomed and self.speaks_5

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        self._over.set()
        if not self._explained and not self._stopping.is_set():
            self._report(problems.closed_early(self._settings))
        if not self.up or self._stopping.is_set():
            return
        lasted, taken_over = time.monotonic() - self._up_at, reason.value == problems.TAKEN_OVER
        self._brief = self._brief + 1 if lasted < LASTING else 0
        if not self._brief or (lasted >= WORTHWHILE and not taken_over):
            self._backoff.reset()
        if taken_over or self._brief >= MANY_BRIEF:
            self._report(problems.id_taken(reason, self._client_id))
        elif self._problem is None:
            self._report(f"connection lost ({reason}); {self._waiting}")

    def _on_subscribe(self, _client: Any, _data: Any, _mid: Any, reasons: list[ReasonCode], _properties: Any) -> None:
        self.refused_subscription = refused = next((str(one) for one in reasons if one.is_failure), "")
        if refused:
            log.error("MQTT broker %s: refuses a subscription (%s); check its access rules", self.where, refused)
        self._callbacks.subscribed()

    def _report(self, problem: str | None) -> None:
        """Notes what the broker does wrong. A change is logged once, not at every attempt."""
        if problem is not None:
            problem = f"MQTT broker {self.where}: {problem}"
        if problem == self._problem:
            return
        if problem is None:
            log.info("MQTT broker %s: connected", self.where)
        else:
            log.error("%s", problem)
            self._attempted.set()
        self._problem = problem


def _hand_on(message: paho.MQTTMessage, take: Callable[[Message], None]) -> None:
    try:
        topic = message.topic
    except UnicodeDecodeError:  # no broker should let such a topic pass, and none of ours is like it
        return
    take(Message(topic, bytes(message.payload), message.retain))


def _tls_context(settings: Mqtt) -> ssl.SSLContext | None:
    tls = settings.tls
    if not tls.wanted:
        return None
    key = "ca_file"
    try:
        context = ssl.create_default_context(cafile=str(tls.ca_file) if tls.ca_file else None)
        key = "cert_file"
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except OSError as error:
        raise WrongUse(f"mqtt.tls.{key} {getattr(tls, key)}: cannot be used ({one_line(error)})") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
