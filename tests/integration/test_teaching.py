"""Taught while it listens: a listener that runs hears the new sound, a broker and Home Assistant hear of it, and what
was wrong is not said again.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import tones
from tests.integration.mosquitto import Mosquitto, Subscriber, wait_for
from tests.integration.test_contract import publish
from tests.teach.conftest import write
from tests.teach.teachable import beep, write_teachable


class Device:
    """A listener whose microphone is a pipe, and the commands that its owner types meanwhile."""

    def __init__(self, folder: Path, model: Path, port: int) -> None:
        self.config, self.log = folder / "config.yaml", folder / "log.txt"
        self.config.write_text(
            f"device: hall\nmodel: {model}\nsources: [{{type: stdin, name: mic}}]\n"
            f"mqtt: {{host: 127.0.0.1, port: {port}}}\nteach: {{remember_hours: 1}}\n"
        )
        self.environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
        self.environment.pop("STATE_DIRECTORY", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "asit_edge", "listen", "--config", self.config],
            stdin=subprocess.PIPE,
            stdout=(folder / "out.jsonl").open("w"),
            stderr=self.log.open("w"),
            env=self.environment,
        )
        self._out = folder / "out.jsonl"

    def hear(self, samples: np.ndarray) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
        self.process.stdin.flush()

    def type(self, *arguments: object, may_fail: bool = False, configured: bool = True) -> str:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "asit_edge",
                *map(str, arguments),
                *(("--config", self.config) if configured else ()),
            ],
            capture_output=True,
            text=True,
            env=self.environment,
            check=False,
        )
        assert may_fail or done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def events(self, label: str, kind: str = "new") -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self._out.read_text().splitlines()]
        return [one for one in lines if one["label"] == label and one["type"] == kind]

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(30) == 0


@pytest.fixture
def device(tmp_path: Path, broker: Mosquitto) -> Iterator[Device]:
    made = Device(tmp_path, write_teachable(tmp_path / "bundle"), broker.port)
    yield made
    made.process.kill()
    made.process.wait()


def test_a_sound_is_taught_heard_corrected_and_forgotten_while_the_device_listens(
    device: Device, broker: Mosquitto, tmp_path: Path
) -> None:
    quiet = tones((0, 3))
    config = "homeassistant/device/asit_edge_hall-source-mic/config"
    sound = "asit/hall/mic/sound/front_doorbell"
    with Subscriber(broker) as subscriber:
        said = subscriber.payloads
        device.hear(quiet)
        wait_for(lambda: "online" in said("asit/hall/available"), 20, "the listener")
        device.hear(np.concatenate((beep(0), quiet)))
        takes = [write(tmp_path / f"{number}.wav", beep(number)) for number in range(1, 6)]
        device.type("teach", "Front doorbell", *takes)
        doorbell = '"sound-front_doorbell":{"p":"binary_sensor","name":"Front doorbell"'
        wait_for(lambda: doorbell in said(config)[-1], 20, "Home Assistant hears of the new sound")
        assert said(sound) == ["OFF"]

        device.hear(np.concatenate((quiet, beep(20), quiet)))
        wait_for(lambda: device.events("Front doorbell", "end"), 20, "the sound is heard")
        wait_for(lambda: said(sound)[-2:] == ["ON", "OFF"], 20, "the broker is told")
        (event,) = device.events("Front doorbell")

        device.hear(np.concatenate((quiet, tones((500, 1)), quiet)))
        low = wait_for(lambda: device.events("Low tone"), 20, "the model's own label is heard")[0]
        device.hear(np.concatenate([quiet] * 8))  # what is remembered is written every ten seconds
        at = ("--at", event["onset"], "--seconds", 0.8)
        wait_for(lambda: "is corrected" in device.type("missed", "Front doorbell", *at, may_fail=True), 30, "a memory")
        publish(broker, "asit/hall/mic/set/wrong", "0000-0000")
        wait_for(lambda: any("no event '0000-0000'" in one for one in said("asit/hall/mic/error")), 20, "the answer")
        publish(broker, "asit/hall/mic/set/missed/front_doorbell", "86000")
        wait_for(lambda: len(said("asit/hall/mic/error")) == 2, 20, "of that time nothing is remembered")
        publish(broker, "asit/hall/mic/set/wrong", str(low["id"]))
        wait_for(lambda: "'not Low tone" in device.log.read_text(), 20, "corrected over MQTT, and known")
        device.hear(np.concatenate((quiet, tones((500, 1)), quiet)))
        device.type("taught", "remove", "Front doorbell", configured=False)
        gone = '"sound-front_doorbell":{"p":"binary_sensor"},'
        wait_for(lambda: gone in said(config)[-1], 20, "Home Assistant hears that it is gone")
        device.hear(np.concatenate((quiet, beep(21), quiet)))
        device.stop()
    assert len(device.events("Front doorbell")) == len(device.events("Front doorbell", "end")) == 1
    assert len(device.events("Low tone")) == 1
    assert "Traceback" not in device.log.read_text()


def test_events_that_were_it_become_a_sound_of_its_own_without_another_recording(
    device: Device, tmp_path: Path
) -> None:
    quiet = tones((0, 3))
    device.hear(quiet)
    for number in range(3):
        device.hear(np.concatenate((beep(number, hz=500), quiet)))
    device.hear(np.concatenate([quiet] * 8))  # what is remembered is written every ten seconds
    wait_for(lambda: len(device.events("Low tone", "end")) == 3, 30, "three events of the model's own label")
    ids = [part for event in device.events("Low tone") for part in ("--from-events", event["id"])]
    command = ("teach", "Oven", *ids)
    said = wait_for(lambda: taught(device.type(*command, may_fail=True)), 30, "a memory")
    assert "with 3 takes" in said
    assert not [one for one in tmp_path.rglob("*") if one.suffix in (".wav", ".flac")]
    wait_for(lambda: "taught sounds: Oven" in device.log.read_text(), 20, "the listener knows it")
    device.hear(np.concatenate((quiet, beep(20, hz=500), quiet)))
    wait_for(lambda: device.events("Oven", "end"), 20, "the sound is heard by its new name")
    device.stop()


def taught(said: str) -> str:
    return said if "is taught" in said else ""
