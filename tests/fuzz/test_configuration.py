"""Any document is a configuration that can be used, or refused in one line that names the file."""

import contextlib
import http.client
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import yaml
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from asit_edge.assembly import open_source
from asit_edge.config.delivery import FileSink, WebhookSink
from asit_edge.config.file import load_config
from asit_edge.config.notifications import NtfySink, PushoverSink, TelegramSink
from asit_edge.config.root import Config
from asit_edge.config.secrets import without_secrets
from asit_edge.config.sources import MicrophoneSource, StreamSource
from asit_edge.deliver.delivery import Delivery
from asit_edge.deliver.home_assistant import HomeAssistant
from asit_edge.deliver.notify.notifier import open_notifier
from asit_edge.deliver.reported import reported, starting_state
from asit_edge.deliver.sinks.base import Refused, Unavailable
from asit_edge.deliver.sinks.file import open_file
from asit_edge.deliver.sinks.webhook import open_webhook
from asit_edge.detect.class_settings import class_parents, class_settings
from asit_edge.detect.fusion import Fusion
from asit_edge.detect.quiet_hours import QuietTimes
from asit_edge.detect.tracker import Tracker
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.bundle import Manifest, find_bundle, load_bundle
from asit_edge.mqtt import problems
from asit_edge.mqtt.topics import Topics
from tests.fuzz.budget import corpus, fuzz
from tests.fuzz.documents import EDITS, SCRIBBLES, document
from tests.store.samples import event

FILES = corpus("configuration")
GOOD = load_config(FILES[0].parent / "everything.yaml")
RATE = 16_000
MQTT_BYTES = 65_535
"""Bytes of the longest text in MQTT."""


@pytest.fixture
def manifest(tone_bundle: Path) -> Manifest:
    return load_bundle(tone_bundle).manifest


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative names are below a folder of the test's own, and nobody answers."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "STATE_DIRECTORY", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("ASIT_EDGE_MQTT_PASSWORD", raising=False)

    def refuses(self: http.client.HTTPConnection) -> None:
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(http.client.HTTPConnection, "connect", refuses)
    monkeypatch.setattr(http.client.HTTPSConnection, "connect", refuses)


def read_and_use(file: Path, manifest: Manifest) -> None:
    """What is not refused with the file's name is put to use as `listen` would."""
    try:
        config = load_config(file)
    except WrongUse as error:
        assert str(error).startswith(str(file))
        assert "\n" not in str(error)
        return
    for use in (use_events, use_sources, use_mqtt, use_sinks, use_store):
        try:
            use(config, manifest)
        except AsitEdgeError as error:
            assert "\n" not in str(error)


def use_events(config: Config, manifest: Manifest) -> None:
    parents = class_parents(config.events, manifest)
    labels = [label.name for label in manifest.labels]
    for entry in config.sources:
        tracker = Tracker(class_settings(config.events, manifest, entry.events, "sources"), parents)
        tracker.finish(RATE)
        quiet = QuietTimes(config.events.quiet_hours, entry.name, labels)
        quiet.muting(time.time())
        with contextlib.suppress(ValueError):  # a label that there is not: the loop refuses it at the start
            quiet.muted_labels(time.time())
    Fusion(config.events.same_room, config.events.same_within, RATE)


def use_sources(config: Config, manifest: Manifest) -> None:
    find_bundle(config.model)
    for entry in config.sources:
        if not isinstance(entry, MicrophoneSource):  # they need PortAudio, and a device
            with contextlib.suppress(AsitEdgeError):
                open_source(entry, RATE)
        if isinstance(entry, StreamSource):
            without_secrets(f"{entry.url}: no", entry.url)


def use_mqtt(config: Config, manifest: Manifest) -> None:
    """Every text fits into MQTT, and what a host name cannot be is told in words."""
    mqtt = config.mqtt
    for text in (mqtt.username, mqtt.client_id, f"asit-edge-{config.device_name}"):
        assert len((text or "").encode()) <= MQTT_BYTES
    client = paho.Client(CallbackAPIVersion.VERSION2)
    topics = Topics(mqtt.prefix, config.device_name)
    known = reported(config, manifest)
    said = dict(starting_state(topics, known, "now"))
    if config.home_assistant.discovery:
        said |= HomeAssistant(config, topics, "model 1", [], Path("/dev/null/never-written")).know(known)
    for topic, payload in said.items():
        client.publish(topic, payload, qos=1, retain=True)
    client.will_set(topics.available, "offline", qos=1, retain=True)
    try:
        (mqtt.host or "").encode("idna")
    except UnicodeError as error:
        assert "\n" not in problems.no_connection(error, mqtt)


def use_sinks(config: Config, manifest: Manifest) -> None:
    payload = event().to_json()
    for sink in config.sinks:
        with contextlib.suppress(AsitEdgeError, Unavailable, Refused):
            if isinstance(sink, WebhookSink):
                open_webhook(sink)(payload)
            elif isinstance(sink, FileSink) and inside(sink.path):
                open_file(sink)(payload)
            elif isinstance(sink, NtfySink | PushoverSink | TelegramSink):
                open_notifier(sink).tell(event())


def use_store(config: Config, manifest: Manifest) -> None:
    path = config.store.effective_path
    path.with_name("heard.json")
    if inside(path) and config.store != GOOD.store:  # writing to a disk takes its time
        delivery = Delivery(config, manifest)
        delivery.events("mic", [event()])
        delivery._store.tend()
        delivery._store._tidied_at -= 1e6
        delivery._store.tend()
        delivery._store.close()
        assert not delivery._store.problem or path.is_dir() or "name" in delivery._store.problem, (
            delivery._store.problem
        )
        for left in Path.cwd().glob("*.db*"):
            left.unlink()


def inside(path: Path) -> bool:
    return path.resolve().is_relative_to(Path.cwd())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_was_found_is_used_or_refused(file: Path, manifest: Manifest) -> None:
    read_and_use(file, manifest)


def test_any_document_is_used_or_refused(tmp_path: Path, manifest: Manifest) -> None:
    good: dict[str, Any] = yaml.safe_load((FILES[0].parent / "everything.yaml").read_text(encoding="utf-8"))
    file = tmp_path / "config.yaml"

    def target(value: tuple[list[Any], list[Any]]) -> None:
        file.write_bytes(document(good, *value))
        read_and_use(file, manifest)

    fuzz(target, st.tuples(EDITS, SCRIBBLES), few=150)
