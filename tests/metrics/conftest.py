"""What a real listener with a broker gave out, once for all who look at it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import soundfile

from tests.conftest import RATE, tones
from tests.integration.mosquitto import Mosquitto, wait_for
from tests.metrics.listening import listening, value


class Told(NamedTuple):
    exposition: bytes
    healthy: bool
    health: dict[str, Any]


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory, tone_bundle: Path) -> Iterator[Told]:
    """After a low tone of a second, once the broker has acknowledged its beginning and its end."""
    folder = tmp_path_factory.mktemp("metrics")
    sound = folder / "tones.wav"
    soundfile.write(sound, tones((0, 0.5), (500, 1), (0, 60)), RATE, subtype="PCM_16")
    broker = Mosquitto(folder / "broker")
    broker.start()
    config = {
        "device": "hall",
        "model": str(tone_bundle),
        "sources": [{"type": "file", "name": "yard", "path": str(sound)}],
        "mqtt": {"host": "127.0.0.1", "port": broker.port},
        "sinks": [{"type": "file", "path": str(folder / "events.jsonl")}],
        "store": {"path": str(folder / "events.db")},
    }
    try:
        with listening(config) as metrics:
            yard = {"source": "yard"}
            ended = {**yard, "label": "Low tone", "type": "end"}
            wait_for(lambda: value(metrics, "asit_events_total", **ended), 20, "the tone has ended")
            wait_for(lambda: value(metrics, "asit_event_acknowledged_seconds_count", **yard), 20, "acknowledged")
            wait_for(lambda: metrics.health()[0], 20, "all is well")
            wait_for(lambda: not any(metrics.health()[1]["waiting"].values()), 20, "nothing waits")
            yield Told(metrics.exposition(), *metrics.health())
    finally:
        broker.stop()
