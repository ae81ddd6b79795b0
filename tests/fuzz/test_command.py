"""Any message under a device's topics is a command that can be obeyed, an answer that can be sent, or nothing."""

from pathlib import Path

import numpy as np
import paho.mqtt.client as paho
import pytest
from hypothesis import strategies as st

from asit_edge.adjust.adjustments import NOTHING, obeyed
from asit_edge.adjust.effect import Effect, effect, report
from asit_edge.config.delivery import Mqtt
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.detect.tracker import Tracker
from asit_edge.messages.report import CommandError
from asit_edge.mqtt.commands import Command, read_message
from asit_edge.mqtt.connection import Callbacks, Connection, Message
from asit_edge.mqtt.topics import Topics
from tests.fuzz.budget import corpus, fuzz

FILES = corpus("command")
"""Topic and payload, with an empty line between them."""

TOPICS = Topics("asit", "hall")
LABELS = {"dog": "Dog", "baby_cry": "Baby cry"}
PARTS = b"asit hall mic yard set listen threshold report snooze dog baby_cry + # $SYS".split()
NUMBERS = b"0.5 1 0 -0.0 1e-300 5e-324 1e-400 0.9999999999999999 nan inf 1_0 .5 0x1p-2 0,5 ON OFF on {}".split()
NUMBERS += [b"default", b"604800", b"604800.001"]
NUMBERS += ["\uff10.\uff15".encode(), b"0.5 ", b"\xef\xbb\xbf0.5", b"9" * 5_000, b"\0", b""]
TOPIC = st.one_of(
    st.lists(st.sampled_from([b"", *PARTS]), max_size=8).map(b"/".join),
    st.lists(st.sampled_from(PARTS) | st.binary(max_size=6), max_size=4).map(
        lambda parts: b"asit/hall/mic/set/" + b"/".join(parts)
    ),
    st.sampled_from([b"listen", b"snooze", b"threshold/dog", b"report/dog", b"snooze/baby_cry"]).map(
        lambda name: b"asit/hall/mic/set/" + name
    ),
)
PAYLOAD = st.sampled_from(NUMBERS) | st.binary(max_size=40) | st.floats().map(lambda number: str(number).encode())


@pytest.fixture
def received() -> tuple[Connection, list[Message]]:
    """A connection that is never made, and what it hands on of what comes."""
    messages: list[Message] = []
    callbacks = Callbacks(up=lambda limits: None, message=messages.append)
    return Connection(Mqtt(host="localhost"), "fuzz", callbacks), messages


def obey(connection: Connection, messages: list[Message], topic: bytes, payload: bytes, retained: bool) -> None:
    """As it comes from the broker: what is handed on is answered or obeyed."""
    message = paho.MQTTMessage(1, topic)
    message.payload, message.retain = payload, retained
    messages.clear()
    connection._client.on_message(connection._client, None, message)  # type: ignore[misc]
    for one in messages:
        found = read_message(one, TOPICS, ["mic", "yard"], LABELS)
        if isinstance(found, CommandError):
            assert len(found.to_json().encode()) < 70_000
            assert "\n" not in found.to_json()
            connection._client.publish(TOPICS.error(found.source), found.to_json(), qos=1)
        elif isinstance(found, Command):
            assert found.source in ("mic", "yard")
            assert not retained
            adjustment = obeyed(NOTHING, found, 1_800_000_000.0).of(found.source)
            assert report("hall", found.source, adjustment, ["Dog", "Baby cry"]).to_json()
            configured = ClassSettings(0.5, 0.3)
            did = effect(adjustment, ["Dog", "Baby cry"], [configured, configured], 1_800_000_000.0)
            for label, settings in did.moved(Effect(), [configured, configured]):
                tracker = Tracker([configured, configured])
                tracker.set_thresholds(label, settings.on, settings.off)
                scores = np.float32([label == 0, label == 1])
                assert [change.score for change in tracker.step(0, 10, scores)] == [1.0]
                assert 0 < float(f"{settings.on:g}") < 1, "what is announced is a threshold too"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_was_found_is_obeyed_or_answered(file: Path, received: tuple[Connection, list[Message]]) -> None:
    topic, _, payload = file.read_bytes().partition(b"\n\n")
    obey(*received, topic, payload, False)


def test_any_message_is_obeyed_or_answered(received: tuple[Connection, list[Message]]) -> None:
    def target(value: tuple[bytes, bytes, bool]) -> None:
        obey(*received, *value)

    fuzz(target, st.tuples(TOPIC, PAYLOAD, st.booleans()), few=500)
