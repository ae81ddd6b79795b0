"""The broker: found, connected to, logged in, allowed to publish; under a client id of its own, retaining nothing."""

import json
import queue
import secrets
import socket
import threading
from collections.abc import Iterator

from paho.mqtt.reasoncodes import ReasonCode

from asit_edge.config.delivery import Mqtt
from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient
from asit_edge.errors import one_line
from asit_edge.mqtt.connection import Callbacks, Connection
from asit_edge.mqtt.topics import HomeAssistantIds, Topics

CONNECT_SECONDS = 12.0
ANSWER_SECONDS = 5.0
EXPIRY = 10
"""Seconds for which the broker may hold back what is published here."""

DENIED = "its access rules deny"


def look(patient: Patient) -> Iterator[Finding]:
    settings = patient.config.mqtt
    if settings.host is None:
        remedy = "set mqtt.host in config.yaml    # if events are to go to a broker"
        yield Finding("broker", "ok", "none is configured: events go to standard output and the store", remedy=remedy)
        return
    if (unknown := _resolve(settings)) is not None:
        yield unknown
        return
    password = settings.password()  # WrongUse where it cannot be read
    if password and not settings.tls.wanted and settings.host not in ("localhost", "127.0.0.1", "::1"):
        yield Finding(
            "broker",
            "warning",
            "the password goes over the network unencrypted",
            "whoever listens on the network can read it",
            "set mqtt.tls.enabled, or mqtt.tls.ca_file for a certificate authority of your own",
        )
    with _Visit(settings) as visit:
        if visit.problem:
            yield Finding("broker", "wrong", visit.problem, "events wait in the store", _command(settings))
            return
        encrypted = "encrypted" if settings.tls.wanted else "not encrypted"
        name = f" as {settings.username!r}" if settings.username else ""
        yield Finding(
            "broker",
            "ok",
            f"{visit.where}: connected{name} with MQTT {'5' if visit.speaks_5 else '3.1.1'}, {encrypted}",
        )
        yield from _rights(patient, visit)


def _resolve(settings: Mqtt) -> Finding | None:
    host, port = settings.host or "", settings.effective_port
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        found = f"mqtt.host {host}: no address is known for this name ({reason or one_line(error)})"
        return Finding(
            "broker", "wrong", found, "events wait in the store", f"getent hosts {host}    # is it the right name?"
        )
    return None


def _command(settings: Mqtt) -> str:
    return (
        f"nc -vz {settings.host} {settings.effective_port}    # does anything answer? then look at mqtt in config.yaml"
    )


def _rights(patient: Patient, visit: "_Visit") -> Iterator[Finding]:
    topics = Topics(patient.config.mqtt.prefix, patient.config.device_name)
    user = patient.config.mqtt.username or "anonymous"
    said = json.dumps({"schema": 1, "device": topics.device, "check": "asit-edge doctor"})
    answer = visit.publish(f"{topics.root}/doctor", said)
    if answer is None:
        found = f"{visit.where}: acknowledges nothing within {ANSWER_SECONDS:g} s"
        yield Finding("broker", "wrong", found, "events wait in the store", _command(patient.config.mqtt))
        return
    yield _right(
        answer,
        f"publishing under {topics.root}",
        "no event of this device arrives",
        f"topic write {topics.root}/#",
        user,
    )
    if patient.config.home_assistant.discovery:
        prefix, node = patient.config.home_assistant.prefix, HomeAssistantIds(topics.device).identifier
        answer = visit.publish(f"{prefix}/sensor/{node}/doctor/config", "")
        means, rule = "nothing of it appears in Home Assistant by itself", f"topic write {prefix}/+/{node}/+/config"
        yield _right(
            "no answer" if answer is None else answer, f"discovery under {prefix}", means, rule, user, grade="warning"
        )
    refused = visit.subscribe(topics.commands)
    rule, means = f"topic read {topics.root}/+/set/#", "commands over MQTT do not reach it"
    yield _right(refused, "receiving commands", means, rule, user, grade="warning")


def _right(answer: str, what: str, means: str, rule: str, user: str, grade: str = "wrong") -> Finding:
    """`answer` is what the broker said, "" if it agreed."""
    if not answer:
        return Finding("broker", "ok", f"{what}: allowed")
    remedy = f"{rule}    # a line for user {user} in the broker's access rules; docs/security.md has all of them"
    return Finding(
        "broker", "wrong" if grade == "wrong" else "warning", f"{what}: {DENIED} it ({answer})", means, remedy
    )


class _Visit:
    """One connection, made and left again."""

    def __init__(self, settings: Mqtt) -> None:
        """Raises WrongUse if certificates or the password cannot be read."""
        self._acknowledged: queue.SimpleQueue[tuple[int, ReasonCode]] = queue.SimpleQueue()
        self._subscribed = threading.Event()
        callbacks = Callbacks(
            up=lambda limits: None,
            acknowledged=lambda number, reason: self._acknowledged.put((number, reason)),
            subscribed=self._subscribed.set,
        )
        client_id = f"asit-edge-doctor-{secrets.token_hex(3)}"
        self._connection = Connection(
            settings, client_id, callbacks, keep_session=False, waiting="nothing is published"
        )
        self.where = f"MQTT broker {self._connection.where}"

    def __enter__(self) -> "_Visit":
        self._connection.start()
        self._connection.first_attempt(CONNECT_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.stop()

    @property
    def problem(self) -> str | None:
        return self._connection.problem

    @property
    def speaks_5(self) -> bool:
        return self._connection.speaks_5

    def publish(self, topic: str, payload: str) -> str | None:
        """Why the broker does not take it, in its words; "" if it does; None if it does not answer."""
        number = self._connection.publish(topic, payload, properties=self._connection.properties(expiry=EXPIRY))
        try:
            while True:
                acknowledged, reason = self._acknowledged.get(timeout=ANSWER_SECONDS)
                if acknowledged == number:
                    return str(reason) if reason.is_failure else ""
        except queue.Empty:
            return None

    def subscribe(self, topics: str) -> str:
        """As `publish`."""
        self._subscribed.clear()
        self._connection.subscribe(topics)
        if not self._subscribed.wait(ANSWER_SECONDS):
            return "no answer"
        return self._connection.refused_subscription
