"""The broker: found, connected to, logged in, allowed to publish; under a client id of its own, retaining nothing."""

import json
import queue
import secrets
import socket
import threading
from collections.abc import Iterator
from typing import NamedTuple

from paho.mqtt.reasoncodes import ReasonCode

from asit_edge.config.delivery import Mqtt
from asit_edge.doctor.finding import Finding, Grade
from asit_edge.doctor.patient import Patient
from asit_edge.errors import one_line
from asit_edge.mqtt.connection import Callbacks, Connection
from asit_edge.mqtt.discovery import nothing
from asit_edge.mqtt.topics import HomeAssistantIds, Topics

CONNECT_SECONDS = 12.0
ANSWER_SECONDS = 5.0
EXPIRY = 10
"""Seconds for which the broker may hold back what is published here."""


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
    """What the broker lets this device do, tried."""
    settings = patient.config.mqtt
    topics = Topics(settings.prefix, patient.config.device_name)
    said = json.dumps({"schema": 1, "device": topics.device, "check": "asit-edge doctor"})
    answer = visit.publish(f"{topics.root}/doctor", said)
    right = _Right(
        f"publishing under {topics.root}", "wrong", "no event of this device arrives", f"write {topics.root}/#"
    )
    yield right.judged(answer, settings)
    if answer is None:
        return
    if patient.config.home_assistant.discovery:
        yield _announcing(patient, topics, visit)
    means, rule = "commands over MQTT do not reach it", f"read {topics.root}/+/set/#"
    right = _Right("subscribing to commands", "warning", means, rule)
    yield right.judged(visit.subscribe(topics.commands), settings)


def _announcing(patient: Patient, topics: Topics, visit: "_Visit") -> Finding:
    """Whether it may announce itself to Home Assistant: with messages that announce nothing."""
    prefix, ids = patient.config.home_assistant.prefix, HomeAssistantIds(topics.device)
    if patient.config.home_assistant.discovery == "device":
        sources = ["", *(source.name for source in patient.config.sources)]
        tried = {topic: f"write {topic}" for topic in (ids.device_topic(prefix, source) for source in sources)}
        said = nothing(topics)
    else:
        rule = f"write {prefix}/+/{ids.identifier}/+/config"
        tried, said = {f"{prefix}/sensor/{ids.identifier}/doctor/config": rule}, ""
    answers = {topic: visit.publish(topic, said) for topic in tried}
    worst = next((topic for topic, answer in answers.items() if answer != ""), next(iter(tried)))
    means = "not all of it appears in Home Assistant by itself"
    right = _Right(f"discovery under {prefix}", "warning", means, tried[worst])
    return right.judged(answers[worst], patient.config.mqtt)


class _Right(NamedTuple):
    """Something that a device wants to do at its broker, and the rule of mosquitto that allows it."""

    what: str
    grade: Grade
    means: str
    rule: str

    def judged(self, answer: str | None, settings: Mqtt) -> Finding:
        """`answer` is why the broker refuses, in its words; "" if it does not; None if it says nothing."""
        if answer is None:
            found = f"{self.what}: the broker does not answer within {ANSWER_SECONDS:g} s"
            return Finding("broker", self.grade, found, self.means, _command(settings))
        if not answer:
            return Finding("broker", "ok", f"{self.what}: allowed")
        user = f"user {settings.username}" if settings.username else "anonymous clients"
        remedy = f"topic {self.rule}    # a line for {user} in the broker's access rules; docs/security.md has them all"
        return Finding("broker", self.grade, f"{self.what}: its access rules deny it ({answer})", self.means, remedy)


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

    def subscribe(self, topics: str) -> str | None:
        """As `publish`."""
        self._subscribed.clear()
        self._connection.subscribe(topics)
        return self._connection.refused_subscription if self._subscribed.wait(ANSWER_SECONDS) else None
