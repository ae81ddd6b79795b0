"""What a real listener tells of itself, and that telling it is in nobody's way."""

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from asit_edge import __version__
from asit_edge.assembly import load_model
from asit_edge.config.root import Config
from asit_edge.deliver.delivery import Delivery, Standing
from asit_edge.metrics import metrics as module
from asit_edge.metrics.metrics import Metrics
from tests.integration.mosquitto import wait_for
from tests.metrics.conftest import Told
from tests.metrics.listening import listening, samples, value


def test_a_listener_tells_what_it_heard_and_what_became_of_it(told: Told) -> None:
    found = samples(told.exposition)

    def of(name: str, **labels: str) -> float:
        return found[name, tuple(sorted(labels.items()))]

    heard = of("asit_heard_seconds_total", source="yard")
    assert heard > 1.5
    assert of("asit_heard_samples_total", source="yard") == pytest.approx(16_000 * heard)
    assert of("asit_decisions_total", source="yard") == of("asit_inference_chunks_total")
    assert of("asit_inference_seconds_count") == of("asit_inference_chunks_total"), "one source: one chunk a batch"
    assert 0 < of("asit_inference_seconds_sum") < heard
    for kind in ("new", "end"):
        assert of("asit_events_total", source="yard", label="Low tone", type=kind) == 1
    committed = of("asit_event_committed_seconds_sum", source="yard")
    acknowledged = of("asit_event_acknowledged_seconds_sum", source="yard")
    assert of("asit_event_committed_seconds_count", source="yard") == 1
    assert of("asit_event_acknowledged_seconds_count", source="yard") == 1
    assert 0.1 < committed <= acknowledged < 5
    assert of("asit_source_state", source="yard", state="listening") == 1
    assert sum(number for (name, _), number in found.items() if name == "asit_source_state") == 1
    assert -120 <= of("asit_source_level_dbfs", source="yard") <= of("asit_source_peak_dbfs", source="yard") + 3.1
    assert of("asit_healthy") == 1
    assert of("asit_loop_round_seconds") < 5
    assert {labels[0][1]: number for (name, labels), number in found.items() if name == "asit_delivery_ok"} == {
        "store": 1,
        "device": 1,
        "mqtt": 1,
        "file": 1,
        "beside": 1,
    }
    assert (of("asit_queue_messages", sink="mqtt"), of("asit_queue_messages", sink="file")) == (0, 0)
    assert of("asit_messages_dropped_total") == of("asit_messages_refused") == 0
    assert of("asit_side_output_dropped_total", output="announcements") == 0
    assert of("asit_device_info", device="hall", version=__version__) == 1
    model = {"model": "tones", "version": "1.0", "backend": "onnxruntime", "precision": "fp32", "provider": "cpu"}
    assert of("asit_model_info", **model) == 1
    assert of("process_resident_memory_bytes") > 10e6
    assert of("process_cpu_seconds_total") > 0


def test_its_health_says_so_in_words(told: Told) -> None:
    assert told.healthy
    assert told.health == {
        "healthy": True,
        "problems": [],
        "device": "hall",
        "version": __version__,
        "model": {"model": "tones", "version": "1.0", "backend": "onnxruntime", "precision": "fp32", "provider": "cpu"},
        "sources": {"yard": {"state": "listening", "detail": ""}},
        "delivery": {"store": "", "device": "", "mqtt": "", "file": "", "beside": ""},
        "waiting": {"mqtt": 0, "file": 0},
        "dropped": 0,
        "refused": 0,
    }


def told_by(metrics: Metrics) -> list[str]:
    """What is wrong, in words."""
    found: list[str] = metrics.health()[1]["problems"]
    return found


def test_what_is_wrong_is_told_and_counted(tmp_path: Path, tone_bundle: Path, tone_file: Path) -> None:
    """No broker, no device."""
    config = {
        "device": "hall",
        "model": str(tone_bundle),
        "sources": [
            {"type": "file", "name": "yard", "path": str(tone_file)},
            {"type": "stream", "name": "gate", "url": str(tmp_path / "nothing.wav")},
        ],
        "mqtt": {"host": "127.0.0.1", "port": 1},
        "store": {"path": str(tmp_path / "events.db")},
    }
    with listening(config) as metrics:
        wait_for(lambda: value(metrics, "asit_queue_messages", sink="mqtt") >= 2, 20, "messages wait")
        wait_for(lambda: value(metrics, "asit_source_state", source="gate", state="lost"), 20, "the stream is lost")
        gate = "source gate: is not there, or broke off; it is tried again and again ("  # between attempts
        wait_for(lambda: any(one.startswith(gate) for one in told_by(metrics)), 20, "it is said in words")
        healthy, health = metrics.health()
        assert not healthy
        assert health["delivery"]["mqtt"].startswith("MQTT broker 127.0.0.1:1: connection refused")
        assert health["delivery"]["mqtt"] in health["problems"]
        assert value(metrics, "asit_healthy") == value(metrics, "asit_delivery_ok", part="mqtt") == 0
        assert value(metrics, "asit_delivery_ok", part="store") == 1


class HangingStore:
    """A delivery whose disk does not answer."""

    def __init__(self) -> None:
        self.answers = threading.Event()

    def standing(self) -> Standing:
        self.answers.wait(30)
        return Standing({"store": ""}, {}, 0, 0)


def test_a_disk_that_hangs_keeps_nobody_from_asking(
    tone_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module.health, "UNANSWERED_SECONDS", 0.2)
    store = HangingStore()
    config = Config.model_validate({"model": tone_bundle})
    metrics = Metrics(config, load_model(config), store)  # type: ignore[arg-type]
    metrics.start()
    metrics.beat({})
    try:
        time.sleep(0.3)
        began = time.monotonic()
        assert any("has not answered" in problem for problem in metrics.health()[1]["problems"])
        assert b"asit_healthy 0.0" in metrics.exposition()
        assert time.monotonic() - began < 1
    finally:
        store.answers.set()
        metrics.stop(5)


def test_metrics_are_loaded_only_where_a_page_serves_them(tmp_path: Path, tone_bundle: Path) -> None:
    """In a process of its own: what is loaded here says nothing."""
    code = """
import sys
from asit_edge.assembly import load_model
from asit_edge.config.root import Config
from asit_edge.deliver.delivery import Delivery
from asit_edge.listen import run
from asit_edge.listen.companions import open_companions
config = Config.model_validate({"model": sys.argv[1], "store": {"path": sys.argv[2]}})
model = load_model(config)
delivery = Delivery(config, model.manifest)
for enabled in (False, True):
    served = config.model_copy(update={"web": config.web.model_copy(update={"enabled": enabled})})
    open_companions(served, model, delivery)
    print("prometheus_client" in sys.modules)
"""
    command = [sys.executable, "-c", code, str(tone_bundle), str(tmp_path / "events.db")]
    assert subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout == "False\nTrue\n"


def test_one_who_fails_when_told_what_arrived_is_told_no_more(
    tmp_path: Path, tone_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = Config.model_validate({"model": tone_bundle, "store": {"path": tmp_path / "e.db"}})
    delivery = Delivery(config, load_model(config).manifest)
    asked: list[Any] = []

    def fail(payload: str) -> None:
        asked.append(payload)
        raise RuntimeError("no room")

    delivery.on_acknowledged = fail
    delivery._taken("{}")
    delivery._taken("{}")
    assert asked == ["{}"]
    assert "told no more" in caplog.text
