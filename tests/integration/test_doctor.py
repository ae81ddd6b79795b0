"""`asit-edge doctor` on real brokers and a real sound server, beside a listener that runs, and with nothing at all."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
import yaml
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from asit_edge.config.root import Config
from asit_edge.doctor.checks import broker as check
from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient
from asit_edge.errors import WrongUse
from asit_edge.mqtt.connection import Connection
from asit_edge.mqtt.topics import Topics
from tests.conftest import RATE, tones
from tests.integration.mosquitto import PASSWORD, Mosquitto, Subscriber, free_port, wait_for
from tests.integration.pulse import Pulse, require_alsa_pulse

USER = "hall"
RULES = """topic write asit/hall/#
topic read asit/hall/+/set/#
topic write homeassistant/device/asit_edge_hall-box/config
topic write homeassistant/device/asit_edge_hall-source-microphone/config
"""
OF_TWO = "".join(
    f"topic write homeassistant/device/asit_edge_hall-source-{source}/config\n" for source in ("mic", "room")
)


def started(folder: Path, rules: str | None = RULES, *, tls: bool = False) -> Mosquitto:
    broker = Mosquitto(folder / "broker", {USER: rules} if rules is not None else None, tls=tls)
    broker.start()
    return broker


def look(port: int, folder: Path, password: str = PASSWORD, **mqtt: Any) -> list[Finding]:
    secret = folder / "password"
    secret.write_text(password)
    secret.chmod(0o600)
    settings = {"host": "127.0.0.1", "port": port, "username": USER, "password_file": secret, **mqtt}
    config = Config.model_validate({"device": "hall", "mqtt": settings, "store": {"path": folder / "events.db"}})
    return list(check.look(Patient(config)))


def test_a_broker_that_takes_everything_gets_nothing_that_stays(tmp_path: Path) -> None:
    broker = started(tmp_path, None)
    try:
        with Subscriber(broker) as everything:
            found = look(broker.port, tmp_path)
            wait_for(lambda: len(everything.messages) >= 3, 10, "what it published")
        assert [one.grade for one in found] == ["ok"] * 4
        assert found[0].found == f"MQTT broker 127.0.0.1:{broker.port}: connected as 'hall' with MQTT 5, not encrypted"
        assert [(topic, retained) for topic, _, retained in everything.messages] == [
            ("asit/hall/doctor", False),
            ("homeassistant/device/asit_edge_hall-box/config", False),
            ("homeassistant/device/asit_edge_hall-source-microphone/config", False),
        ]
        with Subscriber(broker) as later:
            time.sleep(0.3)
        assert later.messages == [], "nothing is retained, and no last will was left"
    finally:
        broker.stop()


def test_access_rules_that_suffice_and_each_that_is_missing(tmp_path: Path) -> None:
    broker = started(tmp_path)
    lines = RULES.splitlines()
    try:
        assert [one.grade for one in look(broker.port, tmp_path)] == ["ok"] * 4
        for grade, rule in (("wrong", lines[0]), ("warning", lines[2]), ("warning", lines[3])):
            broker.rule(USER, "".join(f"{line}\n" for line in lines if line != rule))
            time.sleep(0.3)
            [denied] = [one for one in look(broker.port, tmp_path) if one.grade != "ok"]
            assert denied.grade == grade
            assert "its access rules deny it (Not authorized)" in denied.found
            assert denied.remedy.startswith(f"{rule}    # a line for user hall in")
    finally:
        broker.stop()


def test_a_subscription_that_a_broker_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """mosquitto refuses none; others do, with this code."""
    broker = started(tmp_path)
    accept = Connection._on_subscribe

    def refuse(self: Connection, client: Any, data: Any, number: Any, reasons: Any, properties: Any) -> None:
        accept(self, client, data, number, [ReasonCode(PacketTypes.SUBACK, "Not authorized")], properties)

    monkeypatch.setattr(Connection, "_on_subscribe", refuse)
    try:
        found = look(broker.port, tmp_path)[-1]
    finally:
        broker.stop()
    assert (found.grade, found.found) == (
        "warning",
        "subscribing to commands: its access rules deny it (Not authorized)",
    )
    assert found.remedy.startswith("topic read asit/hall/+/set/#")


def test_a_wrong_password_a_closed_port_and_a_name_that_there_is_not(tmp_path: Path) -> None:
    broker = started(tmp_path)
    try:
        [found] = look(broker.port, tmp_path, "hunter2-is-wrong")
        assert (found.grade, found.means) == ("wrong", "events wait in the store")
        assert "refuses user 'hall' (Not authorized); check mqtt.username and mqtt.password_file" in found.found
        assert "hunter2" not in found.to_json()
    finally:
        broker.stop()
    [found] = look(free_port(), tmp_path)
    assert (found.grade, "connection refused" in found.found) == ("wrong", True)
    assert found.remedy.startswith("nc -vz 127.0.0.1 ")
    [found] = look(1883, tmp_path, host="no-such-host.invalid")
    assert (found.grade, "no address is known for this name" in found.found) == ("wrong", True)
    with pytest.raises(WrongUse, match=r"mqtt\.password_file"):
        look(1883, tmp_path, password_file=tmp_path / "none")


def test_certificates_that_are_trusted_or_not_and_a_broker_that_expects_tls(tmp_path: Path) -> None:
    broker = started(tmp_path, tls=True)
    try:
        found = look(broker.port, tmp_path, tls={"ca_file": broker.ca_file})
        assert [one.grade for one in found] == ["ok"] * 4
        assert found[0].found.endswith(", encrypted")
        [untrusted] = look(broker.port, tmp_path, tls={"enabled": True})
        assert (untrusted.grade, "its certificate is not trusted" in untrusted.found) == ("wrong", True)
        [plain] = look(broker.port, tmp_path)
        assert (plain.grade, "mqtt.tls.enabled" in plain.found) == ("wrong", True)
    finally:
        broker.stop()


def test_an_older_protocol_is_said(tmp_path: Path) -> None:
    broker = started(tmp_path)
    try:
        found = look(broker.port, tmp_path, protocol="3.1.1")
        assert "with MQTT 3.1.1" in found[0].found
    finally:
        broker.stop()


def test_a_password_that_goes_over_the_network_in_the_clear_is_told(tmp_path: Path) -> None:
    """To another address of this machine, where nothing listens."""
    found = look(free_port(), tmp_path, host="127.0.0.2")
    assert [one.grade for one in found] == ["warning", "wrong"]
    assert "unencrypted" in found[0].found


@pytest.fixture(scope="module")
def pulse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulse]:
    pulse = Pulse(tmp_path_factory.mktemp("pulse"))
    pulse.start()
    require_alsa_pulse(pulse)
    yield pulse
    pulse.kill()


def doctor(*options: str | Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "asit_edge", "doctor", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def grades(output: str) -> dict[str, str]:
    """By check; of several, the worst."""
    found: dict[str, str] = {}
    for line in output.splitlines():
        one = json.loads(line)
        assert list(one) == ["check", "grade", "found", "means", "remedy"]
        found[one["check"]] = max(found.get(one["check"], "ok"), one["grade"], key=["ok", "warning", "wrong"].index)
    return found


def test_beside_a_listener_that_runs(tmp_path: Path, pulse: Pulse, tone_bundle: Path) -> None:
    """It is looked at, and neither its audio, its store nor its broker notices."""
    broker = started(tmp_path, RULES + OF_TWO)
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n")
    password.chmod(0o600)
    sound = tmp_path / "tone.wav"
    soundfile.write(sound, tones((500, 30)), RATE, subtype="PCM_16")
    config = tmp_path / "config.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "device": "hall",
                "model": str(tone_bundle),
                "sources": [
                    {"type": "microphone", "name": "mic", "device": "pulse"},
                    {"type": "stream", "name": "room", "url": "room.monitor", "options": ["-f", "pulse"]},
                ],
                "mqtt": {
                    "host": "127.0.0.1",
                    "port": broker.port,
                    "username": USER,
                    "password_file": str(password),
                },
                "store": {"path": str(tmp_path / "events.db")},
            }
        )
    )
    player = subprocess.Popen(["paplay", sound], env=pulse.environment)
    log = tmp_path / "log"
    with log.open("wb") as stderr, (tmp_path / "out").open("wb") as stdout:
        listener = subprocess.Popen(
            [sys.executable, "-m", "asit_edge", "listen", "--config", config],
            env=pulse.environment,
            stdout=stdout,
            stderr=stderr,
        )
    try:
        heard = tmp_path / "heard.json"
        wait_for(lambda: heard.exists() and set(json.loads(heard.read_text())) == {"mic", "room"}, 20, "both are heard")
        done = doctor("--config", config, "--json", environment=pulse.environment)
        told = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0, done.stdout
        assert done.stderr == ""
        found = grades(done.stdout)
        assert {found[name] for name in ("configuration", "disk", "store", "broker", "labels", "model")} == {"ok"}
        by = {one["check"]: one["found"] for one in told}
        assert by["source mic"].startswith("heard for 3 s: -")
        assert by["source room"] == f"the listener that runs (process {listener.pid}) hears it; not opened twice"
        assert any(f"process {listener.pid} listens with it" in one["found"] for one in told)
        listener.terminate()
        assert listener.wait(timeout=20) == 0
    finally:
        listener.kill()
        player.kill()
        broker.stop()
    text = log.read_text()
    assert "lost" not in text
    assert "were not heard" not in text
    assert "identity" not in text


def test_what_a_sound_server_gives_is_judged(tmp_path: Path, pulse: Pulse) -> None:
    """Nothing is played: its monitor is digital silence, which no microphone gives."""
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"store": {"path": str(tmp_path / "events.db")}}))
    done = doctor("--config", config, environment=pulse.environment)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    [at] = [number for number, line in enumerate(lines) if line.startswith("wrong")]
    assert lines[at] == "wrong    source microphone: digital silence for 3 s: every sample is the same"
    assert lines[at + 1].startswith("         means: it is switched off, or muted in the system")
    assert lines[at + 2].startswith("         do: asit-edge devices --levels")
    assert lines[-1].startswith("1 wrong, ")
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def alone(folder: Path) -> dict[str, str]:
    """Without sound system, configuration and state."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PULSE_SERVER", "DISPLAY")}
    return {**kept, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "XDG_RUNTIME_DIR": str(folder)}


def test_where_nothing_is_configured(tmp_path: Path) -> None:
    done = doctor("--json", environment=alone(tmp_path))
    found = grades(done.stdout)
    assert done.returncode == (1 if "wrong" in found.values() else 0)
    assert done.stderr == ""
    expected = {"configuration", "clock", "memory", "service", "disk", "store", "clips", "model", "engine", "labels"}
    assert set(found) == expected | {"source microphone", "broker", "page"}
    assert {found[name] for name in ("configuration", "disk", "store", "model", "engine", "broker")} == {"ok"}
    assert not (tmp_path / "state").exists(), "nothing was made"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mqtt: {hots: broker}", "config.yaml:1: unknown key 'mqtt.hots'"),
        ("mqtt: {host: 'mqtt://user:hunter2@broker'}", "config.yaml:1: mqtt.host"),
        ("[", "config.yaml"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_a_finding_like_any_other(tmp_path: Path, text: str, words: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    done = doctor("--config", config, environment=alone(tmp_path))
    assert done.returncode == 1
    first = done.stdout.splitlines()[0]
    assert first.startswith("wrong    configuration: ")
    assert words in first
    assert "hunter2" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert any(" clock: " in line for line in done.stdout.splitlines()), "the machine is looked at all the same"


def test_in_a_terminal_it_has_colours(tmp_path: Path) -> None:
    import pty

    config = tmp_path / "config.yaml"
    config.write_text("mqtt: {hots: broker}")
    main, side = pty.openpty()
    command = [sys.executable, "-m", "asit_edge", "doctor", "--config", str(config)]
    environment = {**alone(tmp_path), "TERM": "xterm-256color"}
    process = subprocess.Popen(command, stdout=side, stderr=side, stdin=subprocess.DEVNULL, env=environment)
    os.close(side)
    output = b""
    while True:
        try:
            part = os.read(main, 4_096)
        except OSError:  # Linux, when the other side is closed
            break
        if not part:
            break
        output += part
    assert process.wait(timeout=60) == 1
    text = output.decode()
    assert "\x1b[1;31m✗" in text
    assert "\x1b[1mconfiguration" in text


def test_the_topic_that_is_tried_is_one_of_the_devices_own() -> None:
    assert Topics("asit", "hall").parse_command("asit/hall/doctor") is None
