"""Configurations and models from afar, to a running device, over a mosquitto with TLS and access rules."""

import base64
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import paho.mqtt.client as paho
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import load_bundle, sha256, write_manifest
from asit_edge.model.golden import GOLDEN, golden_inputs, golden_scores
from tests.conftest import write_tone_stream
from tests.integration.mosquitto import PASSWORD, Mosquitto, Subscriber, wait_for
from tests.integration.test_mqtt import ENVIRONMENT
from tests.integration.test_reload import AHEAD, pcm

ANSWER = "asit/hall/configured"
RULES = {
    "hall": "topic read asit/hall/wanted\ntopic read asit/hall/+/set/#\ntopic readwrite asit/hall/identity\n"
    "topic write asit/hall/available\ntopic write asit/hall/health\ntopic write asit/hall/configured\n"
    "topic write asit/hall/+/#\n",
    "fleet": "topic write asit/+/wanted\ntopic read asit/#\n",
}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "broker", RULES, tls=True)
    broker.start()
    yield broker
    broker.kill()


def section(broker: Mosquitto) -> str:
    return f"{{host: 127.0.0.1, port: {broker.port}, username: hall, tls: {{ca_file: {broker.ca_file}}}}}"


class Device:
    """Listens to samples that are given to it ahead of time."""

    def __init__(self, folder: Path, mqtt: str, bundle: Path, remote: str) -> None:
        """`mqtt` is that section, `remote` what goes on with it."""
        self.folder, self.config = folder, folder / "config.yaml"
        self.config.write_text(
            f"device: hall\nmodel: {bundle}\nstore: {{path: {folder}/events.db}}\nweb: {{enabled: false}}\n"
            f"sources: [{{type: stdin, name: pipe}}]\nevents: {{only: [Low tone]}}\n"
            f"home_assistant: {{discovery: false}}\n"
            f"mqtt: {mqtt}\nremote: {{enabled: true, trial_seconds: 20{remote}}}\n",
            encoding="utf-8",
        )
        self.process: subprocess.Popen[bytes]
        self.said = ""
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "asit_edge", "listen", "--config", str(self.config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("ab"),
            start_new_session=True,
            pipesize=AHEAD,
            env={**ENVIRONMENT, "ASIT_EDGE_MQTT_PASSWORD": PASSWORD},
        )

    def hears(self, what: tuple[float, float], until: Callable[[], object], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        assert self.process.stdin is not None
        while not until():
            assert time.monotonic() < deadline, self.log
            self.process.stdin.write(pcm(what))
            self.process.stdin.flush()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0, self.log
        assert "Traceback" not in self.log


class Fleet:
    """Who may push, and sees what comes of it."""

    def __init__(self, broker: Mosquitto) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.username_pw_set("fleet", PASSWORD)
        self._client.tls_set(str(broker.ca_file))
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()

    def push(self, document: object) -> None:
        payload = document if isinstance(document, str) else json.dumps(document)
        self._client.publish("asit/hall/wanted", payload, qos=1, retain=True).wait_for_publish(10)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def fleet(broker: Mosquitto) -> Iterator[Fleet]:
    fleet = Fleet(broker)
    yield fleet
    fleet.close()


@pytest.fixture
def seen(broker: Mosquitto) -> Iterator[Subscriber]:
    with Subscriber(broker, user="fleet", topic="asit/hall/#", tls=True) as subscriber:
        yield subscriber


def answers(seen: Subscriber) -> list[tuple[int, str, str]]:
    """Serial, what became of it, and why."""
    found = [json.loads(one) for one in seen.payloads(ANSWER)]
    return [(one["serial"], one["state"], one["reason"]) for one in found]


def problem(seen: Subscriber) -> str:
    found: str = json.loads(seen.payloads("asit/hall/health")[-1])["problem"]
    return found


def labels(seen: Subscriber) -> list[str]:
    events = [json.loads(one) for one in seen.payloads("asit/hall/pipe/event")]
    return [one["label"] for one in events if one["type"] == "new"]


def test_a_pushed_configuration_is_taken_and_a_bad_one_changes_nothing_and_loses_nothing(
    tmp_path: Path, broker: Mosquitto, fleet: Fleet, seen: Subscriber, tone_bundle: Path
) -> None:
    device = Device(tmp_path, section(broker), tone_bundle, ", allow: [events]")
    device.hears((0, 0.5), lambda: answers(seen)[-1:] == [(0, "none", "")])
    device.hears((0, 0.5), lambda: "listening" in str(seen.payloads("asit/hall/pipe/status")))
    bad = [
        ({"schema": 1, "serial": 1, "config": {"events": {"only": ["Lwo tone"]}}}, "did you mean 'Low tone'?"),
        ({"schema": 1, "serial": 2, "config": {"events": {"merge_gap": "never"}}}, "from afar (2): events.merge_gap"),
        ({"schema": 1, "serial": 3, "config": {"sinks": [{"type": "command", "run": ["sh"]}]}}, "sinks: cannot be set"),
        ({"schema": 1, "serial": 5, "model": {"name": "x", "sha256": "0" * 64}}, "no model comes from afar here"),
    ]
    for document, why in bad:
        fleet.push(document)
        device.hears((0, 0.5), lambda why=why: why in answers(seen)[-1][2])  # type: ignore[misc]
        assert answers(seen)[-1][1] == "refused"
    device.hears((0, 0.5), lambda: "no model comes from afar here" in problem(seen))
    device.hears((500, 1), lambda: labels(seen) == ["Low tone"])
    good = {"schema": 1, "serial": 6, "config": {"events": {"only": ["High tone"], "labels": {"High tone": {}}}}}
    fleet.push(good)
    device.hears((0, 0.5), lambda: answers(seen)[-1] == (6, "applied", ""))
    device.hears((3000, 0.5), lambda: labels(seen) == ["Low tone", "High tone"])
    device.hears((0, 0.5), lambda: problem(seen) == "")
    assert seen.payloads("asit/hall/pipe/gap") == []
    fleet.push({**good, "serial": 4})
    device.hears((0, 0.5), lambda: "must be higher than 6" in answers(seen)[-1][2])
    device.end()


def shown(device: Device) -> str:
    words = [sys.executable, "-m", "asit_edge", "config", "show", "--changed", "--config", str(device.config)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def with_golden(path: Path) -> Path:
    """A bundle with scores that it can be verified by."""
    bundle = load_bundle(path)
    inputs = golden_inputs(bundle)
    np.savez(path / GOLDEN, log_mel=inputs, scores=golden_scores(open_classifier(bundle), inputs)[:, -1])
    files = {name: sha256(path / name) for name in [*bundle.manifest.files, GOLDEN]}
    write_manifest(path, bundle.manifest.model_copy(update={"files": files}))
    return path


def test_a_model_from_afar_is_verified_switched_to_and_rolled_back(
    tmp_path: Path, broker: Mosquitto, fleet: Fleet, seen: Subscriber, tone_bundle: Path
) -> None:
    place = tmp_path / "models"
    good, torn = with_golden(write_tone_stream(place / "good")), place / "torn"
    shutil.copytree(good, torn)
    (torn / "model.onnx").write_bytes((torn / "model.onnx").read_bytes()[:-1] + b"x")

    key, public = Ed25519PrivateKey.generate(), tmp_path / "fleet.pub"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def push(document: dict[str, object]) -> None:
        text = json.dumps({**document, "devices": ["hall"]})
        fleet.push({"document": text, "signature": base64.b64encode(key.sign(text.encode())).decode()})

    def hash_of(bundle: Path) -> str:
        return hashlib.sha256((bundle / "bundle.yaml").read_bytes()).hexdigest()

    def wanted(serial: int, bundle: Path, sha256: str = "") -> dict[str, object]:
        model = {"name": bundle.name, "sha256": sha256 or hash_of(bundle)}
        return {"schema": 1, "serial": serial, "config": {"events": {"only": ["High tone"]}}, "model": model}

    device = Device(
        tmp_path, section(broker), tone_bundle, f", allow: [events], bundles: {place}, public_key_file: {public}"
    )
    device.hears((0, 0.5), lambda: "listening" in str(seen.payloads("asit/hall/pipe/status")))
    fleet.push(wanted(1, good))
    device.hears((0, 0.5), lambda: "is not signed" in answers(seen)[-1][2])
    for document, why in [
        (wanted(2, place / "absent", "0" * 64), "there is no absent/bundle.yaml"),
        (wanted(3, torn), "model.onnx is not what bundle.yaml says"),
    ]:
        push(document)
        device.hears((0, 0.5), lambda why=why: why in answers(seen)[-1][2])  # type: ignore[misc]
    assert seen.payloads("asit/hall/pipe/gap") == []
    push(wanted(5, good))
    device.hears((0, 0.5), lambda: answers(seen)[-1] == (5, "applied", ""))
    device.hears((3000, 0.5), lambda: "High tone" in labels(seen))
    event = json.loads(seen.payloads("asit/hall/pipe/event")[-1])
    assert event["model"]["name"] == "tone-stream"
    assert {json.loads(one)["cause"] for one in seen.payloads("asit/hall/pipe/gap")} <= {"restart"}
    # Killed while another one is on trial: the next start goes back, and says so.
    push({"schema": 1, "serial": 6, "config": {"events": {"only": ["Low tone"]}}})
    device.hears((0, 0.5), lambda: answers(seen)[-1][:2] == (6, "trial") and "on trial" in device.log)
    wait_for(lambda: '"starts":1' in (tmp_path / "pushed.json").read_text(), 20, "it has begun")
    device.process.kill()
    device.process.communicate()
    device.start()
    device.hears((0, 0.5), lambda: answers(seen)[-1][:2] == (6, "rolled_back"))
    assert "ended while it was on trial" in answers(seen)[-1][2]
    assert "from afar (5)" in shown(device)
    device.end()
