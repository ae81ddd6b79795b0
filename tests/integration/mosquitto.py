"""A real mosquitto for tests: its own port and folder, with password, access rules and TLS where wanted."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import trustme
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.conftest import require_programs

PASSWORD = "correct horse"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Polls until the condition is true and returns it; fails by name when time is up."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return found


class Mosquitto:
    """A broker that can be started, killed and started again on the same port."""

    def __init__(self, folder: Path, users: dict[str, str] | None = None, *, tls: bool = False) -> None:
        """`users` maps a user to lines of mosquitto's access rules; None admits anyone to everything.

        With `tls`, the files ca.pem, client.pem and client.key in `folder` are for its clients.
        """
        require_programs("mosquitto", "mosquitto_passwd")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.ca_file = folder / "ca.pem"
        lines = [f"listener {self.port} 127.0.0.1", "user root", f"allow_anonymous {'false' if users else 'true'}"]
        self._users = dict(users or {})
        self._admitted: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        if users:
            passwords = folder / "passwords"
            passwords.touch()
            for user in users:
                subprocess.run(["mosquitto_passwd", "-b", passwords, user, PASSWORD], check=True, capture_output=True)
            self._admitted = {
                line.partition(":")[0]: line for line in passwords.read_text(encoding="utf-8").splitlines()
            }
            self._write_rules()
            lines += [f"password_file {passwords}", f"acl_file {folder / 'rules'}"]
        if tls:
            authority = trustme.CA()
            authority.cert_pem.write_to_path(self.ca_file)
            certificate = authority.issue_cert("localhost", "127.0.0.1")
            certificate.private_key_pem.write_to_path(folder / "key.pem")
            certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
            client = authority.issue_cert("client@example.org")
            client.private_key_pem.write_to_path(folder / "client.key")
            client.cert_chain_pems[0].write_to_path(folder / "client.pem")
            lines += [f"certfile {folder / 'cert.pem'}", f"keyfile {folder / 'key.pem'}"]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _write_rules(self) -> None:
        rules = "".join(f"user {user}\n{lines}\n" for user, lines in self._users.items())
        (self.folder / "rules").write_text(rules, encoding="utf-8")

    def rule(self, user: str, lines: str) -> None:
        """Changes what a user may do, at once."""
        self._users[user] = lines
        self._write_rules()
        self._reload()

    def admit(self, *users: str) -> None:
        """Takes only these users' passwords from now on."""
        lines = "".join(f"{self._admitted[user]}\n" for user in users)
        (self.folder / "passwords").write_text(lines, encoding="utf-8")
        self._reload()

    def configure(self, *lines: str) -> None:
        """Adds to the configuration, for the next start."""
        with self._config.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)

    def _reload(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(["mosquitto", "-c", self._config], stdout=log, stderr=log)

        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_for(answers, 10, "mosquitto answers")

    def pause(self) -> None:
        """Its connections stay, and it says nothing any more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """As its service manager would."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)
            self._process = None

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@dataclass
class Subscriber:
    """Collects what a broker sends to `topic`, in order."""

    broker: Mosquitto
    user: str | None = None
    topic: str = "#"
    tls: bool = False
    qos: int = 1
    messages: list[tuple[str, str, bool]] = field(default_factory=list)
    """Topic, payload, retained."""

    def __enter__(self) -> "Subscriber":
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if self.user:
            self._client.username_pw_set(self.user, PASSWORD)
        if self.tls:
            self._client.tls_set(str(self.broker.ca_file))
        self._subscriptions: list[bool] = []
        self._client.on_connect = lambda client, *_: client.subscribe(self.topic, qos=self.qos)
        self._client.on_subscribe = lambda *_: self._subscriptions.append(True)
        self._client.on_message = lambda _client, _data, message: self.messages.append(
            (message.topic, message.payload.decode(), message.retain)
        )
        self._client.reconnect_delay_set(0.1, 0.2)  # type: ignore[arg-type]
        self._client.connect("127.0.0.1", self.broker.port)
        self._client.loop_start()
        self.resubscribed()
        return self

    def resubscribed(self) -> None:
        """Waits for the confirmation of the next subscription."""
        wait_for(lambda: self._subscriptions, 10, "the subscription is confirmed")
        self._subscriptions.clear()

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def payloads(self, topic: str) -> list[str]:
        return [payload for name, payload, _ in self.messages if name == topic]
