"""The files of docs/fleet, used as the page says: certificates, rules, a bridge, a signed configuration, names."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from asit_edge.config.file import load_config
from tests.conftest import ROOT, require_programs
from tests.integration.mosquitto import free_port, wait_for
from tests.integration.test_from_afar import Device

FLEET = ROOT / "docs" / "fleet"
DENIED = 135


def certificates(folder: Path, kind: str, *names: str) -> None:
    subprocess.run([FLEET / "make-certificates", folder, kind, *names], check=True, capture_output=True)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_programs("openssl", "mosquitto", "mosquitto_pub")
    folder = tmp_path_factory.mktemp("pki")
    certificates(folder, "broker", "localhost", "127.0.0.1")
    certificates(folder, "device", "hall", "attic")
    certificates(folder, "client", "fleet", "dashboard", "site-1")
    return folder


@contextmanager
def mosquitto(folder: Path, pki: Path, *more: str) -> Iterator[int]:
    """With the page's configuration and rules, at a free port of this machine."""
    folder.mkdir()
    port = free_port()
    (folder / "rules.acl").write_text((FLEET / "rules.acl").read_text(encoding="utf-8"), encoding="utf-8")
    text = (FLEET / "mosquitto.conf").read_text(encoding="utf-8").replace("listener 8883", f"listener {port} 127.0.0.1")
    text = text.replace("/etc/mosquitto/fleet/rules.acl", str(folder / "rules.acl"))
    text = text.replace("/etc/mosquitto/fleet", str(pki)).replace("/var/lib/mosquitto/", f"{folder}/")
    file = folder / "mosquitto.conf"
    file.write_text("\n".join([text, "user root", *more]) + "\n", encoding="utf-8")
    with (folder / "log").open("wb") as log:
        broker = subprocess.Popen(["mosquitto", "-c", file], stdout=log, stderr=log)
    try:
        wait_for(lambda: "running" in (folder / "log").read_text(), 10, "mosquitto runs")
        yield port
    finally:
        broker.terminate()
        broker.wait(timeout=10)


class Account:
    """A client with one of the certificates; what it may write, and what it has read."""

    def __init__(self, port: int, pki: Path, name: str, *filters: str) -> None:
        self.codes: list[int] = []
        self.messages: list[tuple[str, str]] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.tls_set(str(pki / "ca.pem"), str(pki / f"{name}.pem"), str(pki / f"{name}.key"))
        self._client.on_connect = lambda client, *_: [client.subscribe(one, qos=1) for one in filters]
        self._client.on_publish = lambda _client, _data, _mid, reason, _properties: self.codes.append(reason.value)
        self._client.on_message = lambda _client, _data, message: self.messages.append(
            (message.topic, message.payload.decode())
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def may_write(self, topic: str) -> bool:
        before = len(self.codes)
        self._client.publish(topic, "{}", qos=1)
        wait_for(lambda: len(self.codes) > before, 10, "an answer")
        return self.codes[-1] != DENIED

    def last(self, topic: str) -> dict[str, Any]:
        found = [payload for name, payload in self.messages if name == topic]
        return json.loads(found[-1]) if found else {}

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_a_fleet_as_the_page_has_it(tmp_path: Path, pki: Path, tone_bundle: Path) -> None:
    bridge = (FLEET / "bridge.conf").read_text(encoding="utf-8")
    with mosquitto(tmp_path / "upper", pki) as upper:
        bridge = bridge.replace("upper.example.org:8883", f"127.0.0.1:{upper}").replace(
            "/etc/mosquitto/upper", str(pki)
        )
        with mosquitto(tmp_path / "site", pki, bridge) as site, ExitStack() as closing:

            def account(port: int, name: str, *filters: str) -> Account:
                made = Account(port, pki, name, *filters)
                closing.callback(made.close)
                return made

            dashboard, fleet = account(upper, "dashboard", "asit/#"), account(site, "fleet", "asit/#")
            key, public = tmp_path / "fleet.key", tmp_path / "fleet.pub"
            subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
            subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
            tls = f"ca_file: {pki}/ca.pem, cert_file: {pki}/hall.pem, key_file: {pki}/hall.key"
            device = Device(
                tmp_path,
                mqtt=f"{{host: 127.0.0.1, port: {site}, tls: {{{tls}}}}}",
                bundle=tone_bundle,
                remote=f", allow: [events], public_key_file: {public}",
            )
            device.hears((0, 0.5), lambda: fleet.last("asit/hall/configured").get("state") == "none")
            device.hears((500, 0.5), lambda: dashboard.last("asit/hall/pipe/event").get("label") == "Low tone")
            assert not [topic for topic, _ in dashboard.messages if topic.endswith("/level")]
            document = tmp_path / "document.json"
            wanted = {"schema": 1, "serial": 1, "devices": ["hall"], "config": {"events": {"only": ["High tone"]}}}
            document.write_text(json.dumps(wanted, indent=2))
            who = ["--cafile", pki / "ca.pem", "--cert", pki / "fleet.pem", "--key", pki / "fleet.key"]
            words = [FLEET / "push", "hall", document, key, "-h", "127.0.0.1", "-p", str(site), *who]
            subprocess.run(words, check=True, timeout=10)
            device.hears((0, 0.5), lambda: fleet.last("asit/hall/configured").get("state") == "applied")
            # A device is itself and nobody else; who has no certificate of ours is nobody.
            attic = account(site, "attic", "asit/#")
            assert [attic.may_write(f"asit/attic/{one}") for one in ("available", "room/event")] == [True, True]
            others = ["asit/hall/available", "asit/hall/wanted", "asit/attic/wanted", "asit/hall/room/set/listen", "x"]
            assert not any(attic.may_write(one) for one in others)
            assert not any(account(site, "dashboard").may_write(one) for one in others)
            assert not [topic for topic, _ in attic.messages if "hall" in topic]
            words = [
                "mosquitto_pub",
                "-h",
                "127.0.0.1",
                "-p",
                str(site),
                "--cafile",
                pki / "ca.pem",
                "-t",
                "x",
                "-m",
                "x",
            ]
            assert subprocess.run(words, capture_output=True, timeout=10).returncode
            device.end()


def test_every_device_of_one_image_has_a_name_of_its_own(tmp_path: Path) -> None:
    serial, file = tmp_path / "serial", tmp_path / "etc" / "environment"
    file.parent.mkdir()
    file.write_text("ASIT_EDGE__MQTT__HOST=broker\nASIT_EDGE__DEVICE=image\n")

    def named(number: str) -> str:
        serial.write_text(number)
        words = [FLEET / "name-device", "asit", file]
        subprocess.run(words, check=True, env={"PATH": "/usr/bin:/bin", "SERIAL": str(serial)}, capture_output=True)
        lines = dict(line.split("=", 1) for line in file.read_text().splitlines())
        assert lines["ASIT_EDGE__MQTT__HOST"] == "broker"
        assert file.stat().st_mode & 0o077 == 0
        return lines["ASIT_EDGE__DEVICE"]

    first = named("10000000abcdef01\0")
    assert re.fullmatch(r"asit-[0-9a-f]{10}", first)
    assert named("10000000abcdef01\0") == first
    assert named("10000000abcdef02\0") != first, "a copied card"


def test_the_devices_configuration_is_one(tmp_path: Path) -> None:
    config = load_config(FLEET / "device.yaml")
    assert config.remote.enabled
    assert config.mqtt.tls.wanted
    files = [
        config.mqtt.tls.ca_file,
        config.mqtt.tls.cert_file,
        config.mqtt.tls.key_file,
        config.remote.public_key_file,
    ]
    assert all(file and file.is_absolute() for file in files)


def test_the_page_shows_a_document_that_is_one() -> None:
    text = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
    documents = [json.loads(one) for one in re.findall(r"```json\n(.*?)```", text, flags=re.DOTALL)]
    from asit_edge.config.remote import Wanted

    assert [Wanted.model_validate(one).serial for one in documents] == [8, 9]
    [settings] = [yaml.safe_load(one) for one in re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)]
    assert set(settings) == {"remote"}
