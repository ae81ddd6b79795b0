"""One live stream: what was lost is told, with its exact length, and nothing sounds through a gap."""

import json
import logging
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from asit_edge.assembly import load_model
from asit_edge.config import Config
from asit_edge.delivery import Delivery
from asit_edge.event import Event
from asit_edge.listen import LiveStream
from asit_edge.report import Gap
from asit_edge.ring import Ring
from tests.conftest import RATE, tones


class HandFed:
    """A source whose audio the test writes."""

    name = "mic"
    rate = RATE
    started_at = 1_000.0
    ended = None

    def __init__(self, capacity: int) -> None:
        self.ring = Ring(capacity)

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Heard:
    """Stands where `Delivery` stands: remembers what the loop tells."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []

    def events(self, source: str, events: list[Event]) -> list[Event]:
        return events

    def gap(self, gap: Gap) -> None:
        self.gaps.append(gap)


@pytest.fixture
def store() -> Heard:
    return Heard()


def stream(tone_bundle: Path, store: Heard, source: HandFed) -> LiveStream:
    return LiveStream(source, None, load_model(Config(model=tone_bundle)), "hall", cast(Delivery, store))


def drain(live: LiveStream) -> list[dict[str, object]]:
    events = []
    while not live.idle:
        events += live.advance()
    return [json.loads(event) for event in events]


def test_an_overrun_ends_events_and_is_published_with_its_length(
    tone_bundle: Path, store: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    source = HandFed(2 * RATE)
    live = stream(tone_bundle, store, source)
    source.ring.write(tones((500, 2.0))[:, None])
    assert [event["type"] for event in drain(live)] == ["new"]
    source.ring.write(tones((500, 5.0))[:, None])  # three seconds more than the ring holds
    with caplog.at_level(logging.WARNING):
        events = drain(live)
    assert [event["type"] for event in events] == ["end", "new"]
    assert events[0]["duration"] == pytest.approx(2.0, abs=0.16)  # one decision
    assert events[1]["onset_epoch"] == 1_005.0
    assert "3.000 s of audio lost (overrun)" in caplog.text
    assert [json.loads(gap.to_json()) for gap in store.gaps] == [
        {
            "schema": 1,
            "device": "hall",
            "source": "mic",
            "from": "1970-01-01T00:16:42.000Z",
            "to": "1970-01-01T00:16:45.000Z",
            "duration": 3.0,
            "cause": "overrun",
        }
    ]
    assert [json.loads(event)["duration"] for event in live.finish()] == [pytest.approx(2.0, abs=0.16)]


def test_spoiled_samples_are_silence_and_are_warned_of_once(
    tone_bundle: Path, store: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    source = HandFed(10 * RATE)
    live = stream(tone_bundle, store, source)
    samples = tones((0, 2.0), (500, 1.0))[:, None]
    samples[8_000:24_000:100] = np.nan
    source.ring.write(samples)
    with caplog.at_level(logging.WARNING):
        events = drain(live)
    assert [event["label"] for event in events] == ["Low tone"]
    assert caplog.text.count("not numbers") == 1


def test_a_clipped_microphone_is_warned_of(tone_bundle: Path, store: Heard, caplog: pytest.LogCaptureFixture) -> None:
    source = HandFed(10 * RATE)
    live = stream(tone_bundle, store, source)
    source.ring.write(np.clip(20 * tones((500, 1.0)), -1, 1)[:, None])
    with caplog.at_level(logging.WARNING):
        drain(live)
    assert "lower its gain" in caplog.text


def test_ids_differ_between_streams_and_are_the_same_within_one(tone_bundle: Path, store: Heard) -> None:
    ids = []
    for start in (1_000.0, 2_000.0):
        source = HandFed(10 * RATE)
        source.started_at = start
        live = stream(tone_bundle, store, source)
        source.ring.write(tones((500, 1.0))[:, None])
        events = drain(live) + [json.loads(event) for event in live.finish()]
        assert len({event["id"] for event in events}) == 1
        ids.append(events[0]["id"])
    assert ids[0] != ids[1]
