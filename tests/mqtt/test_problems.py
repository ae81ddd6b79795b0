"""What is wrong with a connection is said in one line that names the key to check."""

import ssl

import pytest
from paho.mqtt.client import WebsocketConnectionError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from asit_edge.config.delivery import Mqtt, Tls
from asit_edge.mqtt import problems

PLAIN = Mqtt(host="broker")


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (untrusted(), "its certificate is not trusted (self-signed certificate); check mqtt.host and mqtt.tls.ca_file"),
        (ssl.SSLError("wrong version number"), "TLS failed (('wrong version number',)); check mqtt.port and mqtt.tls"),
        (ConnectionRefusedError(111, "no"), "connection refused; is a broker running there? check mqtt.host and mqtt"),
        (WebsocketConnectionError("no upgrade"), "no websocket (no upgrade); check mqtt.port and mqtt.path"),
        (TimeoutError(), "TimeoutError; check mqtt.host and mqtt.port (if the broker expects TLS, set mqtt.tls.enab"),
        (OSError("no\nroute"), "no route; check mqtt.host and mqtt.port"),
    ],
)
def test_a_connection_that_fails(error: Exception, expected: str) -> None:
    assert problems.no_connection(error, PLAIN).startswith(expected)


def test_tls_is_not_hinted_at_where_it_is_on() -> None:
    secured = Mqtt(host="broker", tls=Tls(enabled=True))
    assert problems.no_connection(OSError("no route"), secured) == "no route; check mqtt.host and mqtt.port"


@pytest.mark.parametrize(
    ("reason", "username", "expected"),
    [
        ("Not authorized", "device", "refuses user 'device' (Not authorized); check mqtt.username"),
        ("Bad user name or password", None, "refuses a client without user name (Bad user name or password); check"),
        ("Unsupported protocol version", None, "does not speak MQTT auto; set mqtt.protocol to auto"),
        ("Banned", None, "refuses the connection (Banned)"),
    ],
)
def test_a_connection_that_is_refused(reason: str, username: str | None, expected: str) -> None:
    code = ReasonCode(PacketTypes.CONNACK, reason)
    assert problems.refused(code, PLAIN.model_copy(update={"username": username})).startswith(expected)


def test_an_id_that_is_taken_is_certain_only_where_the_broker_says_so() -> None:
    certain = ReasonCode(PacketTypes.DISCONNECT, "Session taken over")
    maybe = ReasonCode(PacketTypes.DISCONNECT, "Unspecified error")
    assert problems.id_taken(certain, "hall").startswith("another client has taken the id 'hall'")
    assert problems.id_taken(maybe, "hall").startswith("no connection lasts; maybe another client has taken the id")
