"""Adjusted while it listens, over MQTT and by command line: obeyed at once, and still so after kill -9."""

import json
import multiprocessing
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import yaml

from asit_edge.adjust.adjustments import obeyed
from asit_edge.adjust.file import AdjustmentsFile
from asit_edge.mqtt.commands import Command
from tests.conftest import RATE, tones
from tests.integration.mosquitto import Mosquitto, Subscriber, wait_for

ROOT = "asit/hall/mic"

STEP = RATE // 10
"""Samples that are written at once."""


class Device:
    """A listener whose microphone is a pipe that the test speaks into, and the commands that its owner types."""

    def __init__(self, folder: Path, model: Path, broker: Mosquitto) -> None:
        self._config = folder / "config.yaml"
        settings = {
            "device": "hall",
            "model": str(model),
            "sources": [{"type": "stdin", "name": "mic"}],
            "store": {"path": str(folder / "state" / "events.db")},
            "mqtt": {"host": "127.0.0.1", "port": broker.port},
        }
        self._config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        self.file = AdjustmentsFile(folder / "state" / "adjustments.yaml")
        self.log = folder / "log.txt"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "asit_edge", "listen", "--config", self._config],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self.log.open("a"),
            env={key: value for key, value in os.environ.items() if not key.startswith("ASIT_EDGE")},
        )

        self._said: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()
        self.spoken = threading.Event()
        threading.Thread(target=self._speak, args=(self.process.stdin, self._said), daemon=True).start()

    def hear(self, *parts: tuple[float, float]) -> None:
        """From now on, in real time; faint noise before and after."""
        self.spoken.clear()
        self._said.put(tones(*parts))

    def has_heard(self) -> None:
        """Waits until all of that has been said, and a decision on it is overdue."""
        assert self.spoken.wait(30)
        time.sleep(1.5)

    def _speak(self, pipe: IO[bytes], said: "queue.SimpleQueue[np.ndarray]") -> None:
        samples, due = tones((0, 0.1)), time.monotonic()
        while True:
            if len(samples) < STEP:
                if said.empty():
                    self.spoken.set()
                samples = np.concatenate((samples, tones((0, 0.1)) if said.empty() else said.get()))
            try:
                pipe.write((samples[:STEP] * 32_767).astype("<i2").tobytes())
                pipe.flush()
            except (BrokenPipeError, ValueError):
                return  # it was killed
            samples, due = samples[STEP:], due + 0.1
            time.sleep(max(due - time.monotonic(), 0))

    def type(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "asit_edge", "set", *arguments, "--config", str(self._config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def device(tmp_path: Path, tone_bundle: Path, broker: Mosquitto) -> Iterator[Device]:
    made = Device(tmp_path, tone_bundle, broker)
    yield made
    made.kill()


class Owner(Subscriber):
    """Sees all that the broker has, and sends commands."""

    def tell(self, name: str, payload: str) -> None:
        self._client.publish(f"{ROOT}/set/{name}", payload, qos=1)

    def last(self, kind: str) -> str:
        return (self.payloads(f"{ROOT}/{kind}") or [""])[-1]

    def adjusted(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.last("adjusted") or "{}")
        return found

    def thresholds(self) -> dict[str, float | None]:
        return {label: one["threshold"] for label, one in self.adjusted().get("labels", {}).items()}

    def events(self, kind: str) -> list[str]:
        """Labels; not of what an earlier run could not tell."""
        events = [json.loads(payload) for payload in self.payloads(f"{ROOT}/event")]
        return [event["label"] for event in events if event["type"] == kind and not event["replayed"]]

    def state(self) -> tuple[str, str]:
        status = json.loads(self.last("status") or '{"state": "", "detail": ""}')
        return status["state"], status["detail"]


def test_what_is_adjusted_holds_at_once_and_after_kill_9(device: Device, broker: Mosquitto) -> None:
    with Owner(broker, topic="asit/#") as owner:
        wait_for(lambda: owner.state()[0] == "listening", 20, "it listens")
        device.hear((500, 20))
        wait_for(lambda: owner.last("sound/low_tone") == "ON", 20, "the tone is heard")
        owner.tell("threshold/high_tone", "0.999")
        owner.tell("snooze/low_tone", "3600")
        wait_for(lambda: owner.last("sound/low_tone") == "OFF", 10, "what is snoozed ends")
        wait_for(lambda: owner.last("threshold/high_tone") == "0.999", 10, "the threshold")
        labels = wait_for(lambda: owner.adjusted()["labels"], 10, "what differs is told")
        assert labels["High tone"]["threshold"] == 0.999
        assert labels["Low tone"]["snoozed_until"]
        wait_for(lambda: len(device.file.read().of("mic").labels) == 2, 5, "it is kept")
        assert device.file.path.stat().st_mode & 0o777 == 0o600

        device.kill()
        wait_for(lambda: owner.payloads("asit/hall/available")[-1] == "offline", 10, "offline")
        owner.messages.clear()
        device.start()
        wait_for(lambda: owner.state()[0] == "listening", 20, "it listens again")
        wait_for(lambda: owner.adjusted()["labels"] == labels, 5, "as before, and the snooze for no longer")
        wait_for(lambda: owner.last("threshold/high_tone") == "0.999", 5, "the threshold")
        device.hear((500, 1), (0, 1))
        device.has_heard()
        owner.tell("snooze/low_tone", "0")
        wait_for(lambda: "Low tone" not in owner.adjusted()["labels"], 10, "it is reported again")
        device.hear((500, 1), (0, 1))
        wait_for(lambda: owner.events("end"), 20, "and heard")
        assert owner.events("new") == ["Low tone"]

        owner.tell("snooze", "900")
        wait_for(lambda: owner.state()[0] == "muted", 10, "the source is snoozed")
        assert owner.state()[1].startswith("snoozed until ")
        wait_for(lambda: device.file.read().of("mic").snooze, 5, "it is kept")
        device.kill()
        owner.messages.clear()
        device.start()
        wait_for(lambda: owner.state()[0] == "muted", 20, "still")
        owner.tell("listen", "ON")
        wait_for(lambda: owner.state() == ("listening", ""), 10, "what is switched on is listened to")
        owner.tell("report/low_tone", "perhaps")
        error = wait_for(lambda: owner.last("error"), 10, "an answer")
        assert json.loads(error)["error"] == "report must be ON or OFF, not 'perhaps'"
    assert "Traceback" not in device.log.read_text()


def test_the_command_line_reaches_a_listener_that_runs_and_one_that_does_not(device: Device, broker: Mosquitto) -> None:
    with Owner(broker, topic="asit/#") as owner:
        wait_for(lambda: owner.state()[0] == "listening", 20, "it listens")
        device.type("threshold", "Low tone", "0.75")
        wait_for(lambda: owner.last("threshold/low_tone") == "0.75", 5, "within a second where the machine is not busy")
        device.type("listen", "off")
        wait_for(lambda: owner.state() == ("muted", "switched off"), 10, "it is switched off")
        device.kill()
        device.type("listen", "on")
        device.type("report", "Low tone", "off")
        owner.messages.clear()
        device.start()
        wait_for(lambda: owner.state()[0] == "listening", 20, "it listens")
        assert not owner.adjusted()["labels"]["Low tone"]["report"]
        device.hear((500, 1), (0, 1), (3000, 1), (0, 1))
        wait_for(lambda: owner.events("end"), 20, "something is heard")
        assert owner.events("end") == ["High tone"]
        assert "Low tone: threshold 0.75 instead of 0.5, not reported" in device.type("show")
        device.type("reset")
        wait_for(lambda: owner.adjusted()["labels"] == {}, 10, "as configured")
        wait_for(lambda: owner.last("threshold/low_tone") == "0.5", 10, "the threshold too")
    assert "Traceback" not in device.log.read_text()


def test_neither_of_two_that_adjust_at_once_loses_a_change(device: Device, broker: Mosquitto) -> None:
    """Over MQTT one label, by another process the other, a hundred times each; then it is killed."""
    steps = 100

    def last(found: "dict[str, Any]") -> bool:
        return {label: found.get(label) for label in ("Low tone", "High tone")} == {
            "Low tone": steps / 1000,
            "High tone": steps / 1000,
        }

    def kept() -> dict[str, Any]:
        return {label: one.threshold for label, one in device.file.read().of("mic").labels.items()}

    with Owner(broker, topic=f"{ROOT}/#") as owner:
        wait_for(lambda: owner.state()[0] == "listening", 20, "it listens")
        other = multiprocessing.get_context("spawn").Process(target=change_often, args=(device.file.path, steps))
        other.start()
        for step in range(1, steps + 1):
            owner.tell("threshold/low_tone", f"{step / 1000}")
            time.sleep(0.02)
        other.join(60)
        assert other.exitcode == 0
        wait_for(lambda: last(owner.thresholds()), 10, "both are in force")
        wait_for(lambda: last(kept()), 5, "both are kept")
        device.kill()
        assert last(kept())
        owner.messages.clear()
        device.start()
        wait_for(lambda: last(owner.thresholds()), 20, "both are in force again")


def change_often(path: Path, steps: int) -> None:
    """What the command line does, without its start each time."""
    for step in range(1, steps + 1):
        command = Command("mic", "threshold", "High tone", step / 1000)
        AdjustmentsFile(path).change(lambda before, command=command: obeyed(before, command, 0.0))
        time.sleep(0.01)
