"""`asit-edge init` in a terminal and by options, with a real sound server and a real broker; what it writes listens."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from asit_edge.cli.demo import recording
from asit_edge.config.file import load_config
from tests.integration.mosquitto import PASSWORD, Mosquitto, Subscriber, free_port, wait_for
from tests.integration.pulse import Pulse, require_alsa_pulse

EVENTS = "asit/hall/microphone/event"


class Terminal:
    """A program in a terminal: what it says is waited for, then answered."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self.said = ""
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir(folder)
            os.execve(command[0], command, environment)

    def answer(self, question: str, words: str, seconds: float = 30) -> None:
        self.wait(question, seconds)
        os.write(self._terminal, f"{words}\n".encode())

    def wait(self, words: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.said:
            assert time.monotonic() < deadline, f"{words!r} was not said, but {self.said!r}"
            if select.select([self._terminal], [], [], 0.1)[0]:
                self.said += os.read(self._terminal, 4096).decode().replace("\r\n", "\n")
        self.said = self.said.partition(words)[2]

    def exit_code(self) -> int:
        while True:
            try:
                if not (said := os.read(self._terminal, 4096)):
                    break
            except OSError:  # the other end is closed
                break
            self.said += said.decode()
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


@pytest.fixture
def pulse(tmp_path: Path) -> Iterator[Pulse]:
    server = Pulse(tmp_path / "pulse")
    server.start()
    require_alsa_pulse(server)
    yield server
    server.kill()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "broker", {"hall": "topic readwrite #", "reader": "topic readwrite #"})
    broker.start()
    yield broker
    broker.kill()


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "asit_edge", *map(str, arguments)]


def test_a_conversation_ends_in_a_configuration(pulse: Pulse, broker: Mosquitto, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {**pulse.environment, "PYTHONPATH": os.getcwd()}
    talk = Terminal(command("init", "--config", "config.yaml", "--device", "hall"), environment, home)
    talk.answer("listen to (number, name", "no such device")
    talk.wait("it cannot be heard: ")
    talk.answer("take it all the same?", "n")
    talk.answer("listen to (number, name", "")
    talk.wait("its level is silent: every sample is the same")  # nothing is played into the room
    talk.answer("take it all the same?", "y")
    talk.answer("MQTT broker", "http://127.0.0.1")
    talk.wait("the broker is a host, or host:port")
    talk.answer("MQTT broker", f"127.0.0.1:{free_port()}")
    talk.answer("user at the broker", "")
    talk.wait("connection refused")
    talk.answer("take it all the same?", "n")
    talk.answer("MQTT broker", f"127.0.0.1:{broker.port}")
    talk.answer("user at the broker", "hall")
    talk.answer("password: ", "wrong")
    talk.wait("refuses user 'hall'")
    talk.answer("take it all the same?", "n")
    talk.answer("MQTT broker", f"127.0.0.1:{broker.port}")
    talk.answer("user at the broker", "hall")
    talk.answer("password: ", PASSWORD)
    talk.wait("the broker takes us")
    talk.answer("sounds to report", "dog; chikken")
    talk.answer("sounds to report", "baby cry; chicken")
    talk.answer("keep recordings of what is reported?", "y")
    talk.wait("wrote")
    assert talk.exit_code() == 0
    assert PASSWORD not in talk.said
    config = load_config(home / "config.yaml")
    assert config.mqtt.password() == PASSWORD
    assert config.events.only == ["Baby cry, infant cry", "Chicken, rooster"]
    assert config.clips.enabled
    assert {one.name: one.stat().st_mode & 0o777 for one in home.iterdir()} == {
        "config.yaml": 0o600,
        "mqtt-password": 0o600,
    }

    before = (home / "config.yaml").read_bytes()
    talk = Terminal(command("init", "--config", "config.yaml"), environment, home)
    talk.answer("is there; write it anew?", "")
    assert talk.exit_code() == 2
    assert (home / "config.yaml").read_bytes() == before


def test_by_options_alone_from_nothing_to_an_event_at_the_broker(
    pulse: Pulse, broker: Mosquitto, tmp_path: Path
) -> None:
    config, secret = tmp_path / "etc" / "config.yaml", tmp_path / "secret"
    secret.write_text(PASSWORD, encoding="utf-8")
    played = subprocess.Popen(["paplay", str(recording())], env=pulse.environment)
    options = ["--device", "hall", "--broker", f"127.0.0.1:{broker.port}", "--username", "hall", "--label", "chicken"]
    done = subprocess.run(
        command("init", "--config", config, *options, "--password-file", secret),
        env=pulse.environment,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    played.kill()
    played.wait()
    assert done.returncode == 0, done.stderr
    assert "its level is good (" in done.stdout
    assert "the broker takes us\n" in done.stdout
    assert f"next: asit-edge listen --config {config}\n" in done.stdout
    with Subscriber(broker, user="reader", topic="asit/hall/#") as subscriber:
        listener = subprocess.Popen(
            command("listen", "--config", config), env=pulse.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        played = None
        try:
            wait_for(lambda: '"listening"' in str(subscriber.payloads("asit/hall/microphone/status")), 20, "it listens")
            played = subprocess.Popen(["paplay", str(recording())], env=pulse.environment)
            wait_for(lambda: subscriber.payloads(EVENTS), 20, "an event of the room is at the broker")
        finally:
            if played is not None:
                played.kill()
                played.wait()
            listener.send_signal(signal.SIGTERM)
            _, said = listener.communicate(timeout=30)
    assert listener.returncode == 0, said
    events = [json.loads(payload) for payload in subscriber.payloads(EVENTS)]
    assert {event["label"] for event in events} == {"Chicken, rooster"}
