"""MQTT: takes messages from the store's outbox to the broker, in order, and removes what the broker acknowledged.

Two threads. `_connect` keeps the connection, backing off while there is none. `_deliver` owns everything that is
decided: it alone reads the outbox, publishes, and judges acknowledgements, which reach it through one queue. (An
acknowledgement's reason code is the only proof of delivery: paho calls a message published even when the broker
has refused it.) paho keeps unacknowledged messages over a reconnection and sends them again by itself; after a
restart of the process the outbox does. Repetitions carry the same id.
"""

import logging
import queue
import random
import ssl
import threading
import time
from typing import Any, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from asit_edge.config import Mqtt
from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from asit_edge.store import Store

log = logging.getLogger(__name__)

IN_FLIGHT = 20
"""Messages sent and not yet acknowledged; bounds what paho holds in memory."""

REFUSED_FOR_GOOD = {135, 144, 149, 153}
"""Not authorised, topic name invalid, packet too large, payload format invalid (MQTT 5, section 3.4.2.1)."""

UNSUPPORTED_PROTOCOL = "Unsupported protocol version"
ANSWER_SECONDS = 5.0
"""How long a broker may take to answer a connection."""

RETRY_AFTER = 5.0
LONGEST_BACKOFF = 60.0


class _Acknowledged(NamedTuple):
    message: int
    reason: ReasonCode


class MqttSink:
    """The connection of one device to its broker. `store` must queue what is to be delivered."""

    def __init__(self, settings: Mqtt, device: str, store: Store) -> None:
        """Raises WrongUse if certificates or the password cannot be read. Nothing is connected yet."""
        assert settings.host is not None
        self._settings = settings
        self._store = store
        self._root = f"{settings.prefix}/{device}"
        self._client_id = settings.client_id or f"asit-edge-{device}"
        self._where = f"{settings.host}:{settings.effective_port}"
        self._tls = _tls_context(settings)
        self._password = settings.password()
        self._inbox: queue.SimpleQueue[_Acknowledged | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._connected = threading.Event()
        self._attempted = threading.Event()
        self._problem: str | None = f"MQTT broker {self._where}: not connected yet"
        self._falls_back = False
        self._welcomed = False
        self._unanswered = threading.Timer(ANSWER_SECONDS, lambda: None)
        self._client = self._new_client(
            MQTTProtocolVersion.MQTTv311 if settings.protocol == "3.1.1" else MQTTProtocolVersion.MQTTv5
        )
        self._threads = [
            threading.Thread(target=self._connect, name="mqtt-connect", daemon=True),
            threading.Thread(target=self._deliver, name="mqtt-deliver", daemon=True),
        ]

    @property
    def problem(self) -> str | None:
        """Why nothing is delivered at the moment, in words for the user; None while connected."""
        return self._problem

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """There is something new in the outbox."""
        self._inbox.put(None)

    def drain(self, seconds: float) -> bool:
        """Waits until the outbox is empty, at most so long. False if it is not."""
        deadline = time.monotonic() + seconds
        while self._store.count_waiting():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def first_attempt(self, seconds: float) -> bool:
        """Waits until the first attempt to connect has come to something, at most so long. True if connected."""
        self._attempted.wait(seconds)
        return self._connected.is_set()

    def stop(self) -> None:
        """Says `offline` and disconnects. What is still in the outbox stays there."""
        self._stopping.set()
        self.wake()
        if self._connected.is_set():
            try:
                self._client.publish(f"{self._root}/available", "offline", qos=1, retain=True).wait_for_publish(2)
            except (RuntimeError, ValueError):
                log.warning("MQTT broker %s: could not be told that this device goes offline", self._where)
        self._client.disconnect()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=5)

    def _new_client(self, protocol: MQTTProtocolVersion) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=protocol,
            reconnect_on_failure=False,
        )
        client.username = self._settings.username
        client.password = self._password
        client.max_inflight_messages_set(IN_FLIGHT)
        client.will_set(f"{self._root}/available", "offline", qos=1, retain=True)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        return client

    # The connection, in its own thread.

    def _connect(self) -> None:
        pause = 1.0
        while not self._stopping.is_set():
            self._unanswered = threading.Timer(ANSWER_SECONDS, self._on_no_answer, [self._client])
            self._unanswered.daemon = True
            try:
                self._client.connect(self._settings.host or "", self._settings.effective_port, self._settings.keepalive)
                self._unanswered.start()
                self._client.loop_forever()
            except (OSError, ValueError) as error:
                self._report(_connection_problem(self._where, error, self._settings))
            finally:
                self._unanswered.cancel()
            if self._connected.is_set():
                self._connected.clear()
                pause = 1.0
            if self._falls_back:
                log.info("MQTT broker %s: does not speak MQTT 5, falling back to 3.1.1", self._where)
                self._client = self._new_client(MQTTProtocolVersion.MQTTv311)
                self._falls_back = False
                continue
            self._stopping.wait(pause * random.uniform(0.75, 1.25))
            pause = min(2 * pause, LONGEST_BACKOFF)

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        self._unanswered.cancel()
        if reason.is_failure:
            self._falls_back = str(reason) == UNSUPPORTED_PROTOCOL and self._may_fall_back(client)
            if not self._falls_back:
                self._report(_refusal(self._where, reason, self._settings))
            client.disconnect()
            return
        self._welcomed = True
        self._report(None)
        client.publish(f"{self._root}/available", "online", qos=1, retain=True)
        self._connected.set()
        self._attempted.set()
        self.wake()

    def _on_no_answer(self, client: paho.Client) -> None:
        """The broker took the connection and says nothing: some do so when they cannot read MQTT 5."""
        self._falls_back = self._may_fall_back(client)
        if not self._falls_back:
            self._report(
                f"MQTT broker {self._where}: takes the connection but does not answer; "
                "check mqtt.port and mqtt.protocol, and whether it expects TLS"
            )
        client.disconnect()

    def _may_fall_back(self, client: paho.Client) -> bool:
        """Only before the first success: after it the protocol is known, and the client holds sent messages."""
        auto = self._settings.protocol == "auto" and not self._welcomed
        return auto and client.protocol == MQTTProtocolVersion.MQTTv5

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if self._connected.is_set() and not self._stopping.is_set():
            self._report(f"MQTT broker {self._where}: connection lost ({reason}); events wait in the store")

    def _on_publish(self, _client: Any, _data: Any, message: int, reason: ReasonCode, _properties: Any) -> None:
        self._inbox.put(_Acknowledged(message, reason))

    def _report(self, problem: str | None) -> None:
        """Logs a change of state once, not at every attempt."""
        if problem == self._problem:
            return
        if problem is None:
            log.info("MQTT broker %s: connected", self._where)
        else:
            log.error("%s", problem)
            self._attempted.set()
        self._problem = problem

    # Delivery, in its own thread.

    def _deliver(self) -> None:
        flying: dict[int, int] = {}
        sent = 0
        retry_at: float | None = None
        while not self._stopping.is_set():
            try:
                item = self._inbox.get(timeout=1.0)
            except queue.Empty:
                item = None
            try:
                if item is not None and (row := flying.pop(item.message, None)) is not None:
                    retry = self._settle(row, item.reason)
                    retry_at = time.monotonic() + RETRY_AFTER if retry else retry_at
                if retry_at is not None:
                    # A message failed for now: let the others come down, then begin again with the oldest.
                    if flying or time.monotonic() < retry_at:
                        continue
                    sent, retry_at = 0, None
                if not self._connected.is_set():
                    continue
                for outgoing in self._store.waiting(sent, IN_FLIGHT - len(flying)):
                    info = self._client.publish(f"{self._root}/{outgoing.topic}", outgoing.payload, qos=1)
                    flying[info.mid] = outgoing.row
                    sent = outgoing.row
            except AsitEdgeError as error:  # the store's disk is full or gone: nothing is forgotten, try again
                log.error("%s", error)
                retry_at = time.monotonic() + RETRY_AFTER

    def _settle(self, row: int, reason: ReasonCode) -> bool:
        """What an acknowledgement means for its message. True if it must be tried again."""
        if not reason.is_failure:
            self._store.delivered([row])
        elif reason.value in REFUSED_FOR_GOOD:
            log.error("MQTT broker %s: refuses a message for good (%s); check its access rules", self._where, reason)
            self._store.refuse(row, str(reason))
        else:
            log.warning("MQTT broker %s: did not take a message (%s); trying again", self._where, reason)
            return True
        return False


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


def _connection_problem(where: str, error: Exception, settings: Mqtt) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"MQTT broker {where}: its certificate is not trusted ({error.verify_message}); "
            "check mqtt.host and mqtt.tls.ca_file"
        )
    if isinstance(error, ssl.SSLError):
        return f"MQTT broker {where}: TLS failed ({one_line(error)}); check mqtt.port and mqtt.tls"
    if isinstance(error, ConnectionRefusedError):
        return f"MQTT broker {where}: connection refused; is a broker running there? check mqtt.host and mqtt.port"
    hint = "" if settings.tls.wanted else " (if the broker expects TLS, set mqtt.tls.enabled)"
    return f"MQTT broker {where}: {one_line(error) or type(error).__name__}; check mqtt.host and mqtt.port{hint}"


def _refusal(where: str, reason: ReasonCode, settings: Mqtt) -> str:
    if str(reason) in {"Not authorized", "Bad user name or password"}:
        user = f"user {settings.username!r}" if settings.username else "a client without user name"
        return (
            f"MQTT broker {where}: refuses {user} ({reason}); "
            "check mqtt.username and mqtt.password_file (or ASIT_EDGE_MQTT_PASSWORD)"
        )
    if str(reason) == UNSUPPORTED_PROTOCOL:
        return f"MQTT broker {where}: does not speak MQTT {settings.protocol}; set mqtt.protocol to auto"
    return f"MQTT broker {where}: refuses the connection ({reason})"
