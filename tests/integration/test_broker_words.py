"""A broker, or what is taken for one, that says nothing and hangs up: the log says within seconds what may be wrong."""

import logging
import socket
import threading
from pathlib import Path

import pytest

from asit_edge.config.delivery import Mqtt
from asit_edge.mqtt.connection import Callbacks, Connection
from tests.integration.mosquitto import Mosquitto, wait_for


def told(settings: dict[str, object], caplog: pytest.LogCaptureFixture) -> str:
    """The first thing that is logged about a connection with these settings."""
    caplog.set_level(logging.INFO)
    connection = Connection(Mqtt.model_validate({"host": "127.0.0.1", **settings}), "ear", Callbacks(lambda _: None))
    connection.start()
    try:
        wait_for(lambda: caplog.records, 8, "something in the log")
    finally:
        connection.stop()
    return caplog.records[0].getMessage()


@pytest.fixture
def secured(tmp_path: Path) -> Mosquitto:
    return Mosquitto(tmp_path / "broker", tls=True)


def test_a_plain_client_on_a_port_for_tls(secured: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    secured.start()
    assert "does it expect TLS there (mqtt.tls.enabled)?" in told({"port": secured.port}, caplog)
    secured.kill()


def test_a_broker_that_wants_a_client_certificate(secured: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    secured.configure(f"cafile {secured.ca_file}", "require_certificate true")
    secured.start()
    tls = {"ca_file": str(secured.ca_file)}
    assert "does it ask for a client certificate (mqtt.tls.cert_file" in told(
        {"port": secured.port, "tls": tls}, caplog
    )
    caplog.clear()
    tls |= {"cert_file": str(secured.folder / "client.pem"), "key_file": str(secured.folder / "client.key")}
    assert "connected" in told({"port": secured.port, "tls": tls}, caplog)
    secured.kill()


def test_a_peer_that_takes_connections_and_closes_them(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(3):
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        assert "closes the connection before it answers" in told({"port": server.getsockname()[1]}, caplog)
