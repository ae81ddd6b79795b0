"""What is counted of what an observer sees."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from asit_edge.messages.event import Event
from asit_edge.messages.report import Gap, Level
from asit_edge.metrics.tallies import Tallies
from asit_edge.model.bundle import BundleLabel, load_bundle
from tests.metrics.listening import samples
from tests.store.samples import event

MIC = {"source": "mic"}


class Counted:
    def __init__(self, bundle: Path) -> None:
        self._registry = CollectorRegistry()
        self.manifest = load_bundle(bundle).manifest
        self.tallies = Tallies(self._registry, ["mic", "yard"], self.manifest)

    def of(self, name: str, **labels: str) -> float | None:
        return samples(generate_latest(self._registry)).get((name, tuple(sorted(labels.items()))))

    def named(self, name: str) -> dict[str, float]:
        """Values of all samples of a name, by their labels' values."""
        found = samples(generate_latest(self._registry))
        return {"/".join(text for _, text in labels): number for (one, labels), number in found.items() if one == name}


@pytest.fixture
def counted(tone_bundle: Path) -> Counted:
    return Counted(tone_bundle)


def sounded(**changes: Any) -> Event:
    return event(0).model_copy(update={"source": "mic", "label": "Low tone", **changes})


def test_every_source_counts_from_nothing_at_once(counted: Counted) -> None:
    """A rate needs a first value."""
    for name in ("asit_heard_seconds_total", "asit_decisions_total", "asit_event_committed_seconds_count"):
        assert counted.named(name) == {"mic": 0, "yard": 0}


def test_audio_and_decisions(counted: Counted) -> None:
    counted.tallies.heard("mic", 0.0, np.zeros(800, np.float32), 8_000)
    counted.tallies.heard("mic", 0.1, np.zeros(400, np.float32), 8_000)
    counted.tallies.scored("mic", 0.1, np.zeros((3, 2), np.float32))
    counted.tallies.decided(2, 0.003)
    assert counted.of("asit_heard_samples_total", **MIC) == 1_200
    assert counted.of("asit_heard_seconds_total", **MIC) == pytest.approx(0.15)
    assert counted.of("asit_decisions_total", **MIC) == 3
    assert counted.of("asit_inference_chunks_total") == 2
    assert counted.of("asit_inference_seconds_bucket", le="0.005") == 1
    assert counted.of("asit_inference_seconds_bucket", le="0.002") == 0


def test_gaps_by_cause(counted: Counted) -> None:
    for cause, seconds in (("lost", 2.5), ("lost", 0.5), ("overload", 1.0)):
        times = {"from": "2026-05-01T03:00:00.000Z", "to": "2026-05-01T03:00:03.000Z", "duration": seconds}
        counted.tallies.gap(Gap.model_validate({"schema": 1, "device": "hall", **MIC, "cause": cause, **times}))
    for name, lost in (("asit_gaps_total", 2), ("asit_gap_seconds_total", 3.0)):
        found = counted.named(name)
        assert {series: number for series, number in found.items() if number} == {"lost/mic": lost, "overload/mic": 1}
        assert found["restart/yard"] == 0, "the first of a cause is an increase, too"


def test_only_labels_of_the_model_have_a_number_of_their_own(counted: Counted) -> None:
    """Whatever comes, there are no more series than labels."""
    counted.tallies.events("mic", [sounded(label=f"made up {number}") for number in range(100)])
    counted.tallies.events("mic", [sounded(), sounded(type="end")])
    assert counted.named("asit_events_total") == {
        "other/mic/new": 100,
        "Low tone/mic/new": 1,
        "Low tone/mic/end": 1,
        "High tone/mic/new": 0,
        "Low tone/yard/new": 0,
        "High tone/yard/new": 0,
    }


def test_a_sound_that_is_taught_meanwhile_has_one_too(counted: Counted) -> None:
    bell = BundleLabel(name="Bell", id="bell", on_threshold=0.5, off_threshold=0.3)
    counted.tallies.know(counted.manifest.model_copy(update={"labels": [*counted.manifest.labels, bell]}))
    assert counted.named("asit_events_total")["Bell/mic/new"] == 0
    counted.tallies.events("mic", [sounded(label="Bell")])
    assert counted.named("asit_events_total")["Bell/mic/new"] == 1


def test_latency_counts_from_the_onset_of_what_is_new(counted: Counted) -> None:
    onset = time.time() - 1.2
    new, end = sounded(onset_epoch=onset), sounded(onset_epoch=onset, type="end")
    counted.tallies.events("mic", [new, end])
    counted.tallies.acknowledged(new.to_json())
    counted.tallies.acknowledged(end.to_json())
    counted.tallies.acknowledged('{"from":"2026-05-01T03:00:00.000Z"}')  # a gap
    counted.tallies.acknowledged(sounded(source="gone", onset_epoch=onset).to_json())  # of an earlier configuration
    for name in ("committed", "acknowledged"):
        assert counted.of(f"asit_event_{name}_seconds_count", **MIC) == 1
        assert counted.of(f"asit_event_{name}_seconds_sum", **MIC) == pytest.approx(1.2, abs=0.2)
        assert counted.of(f"asit_event_{name}_seconds_bucket", **MIC, le="1.0") == 0
        assert counted.of(f"asit_event_{name}_seconds_bucket", **MIC, le="2.0") == 1


def test_a_clock_that_is_set_back_makes_no_negative_latency(counted: Counted) -> None:
    ahead = sounded(onset_epoch=time.time() + 3_600)
    counted.tallies.events("mic", [ahead])
    counted.tallies.acknowledged(ahead.to_json())
    assert counted.of("asit_event_committed_seconds_sum", **MIC) == 0
    assert counted.of("asit_event_acknowledged_seconds_sum", **MIC) == 0


def test_labels_with_any_characters_are_given_out_as_text(counted: Counted) -> None:
    odd = 'a "quoted" \\ label\nwith {braces}, ünïcode'
    label = BundleLabel(name=odd, id="odd", on_threshold=0.5, off_threshold=0.3)
    counted.tallies.know(counted.manifest.model_copy(update={"labels": [label]}))
    counted.tallies.events("mic", [sounded(label=odd)])
    assert counted.of("asit_events_total", **MIC, label=odd, type="new") == 1


def test_the_newest_level_is_kept(counted: Counted) -> None:
    for dbfs in (-40.0, -30.0):
        counted.tallies.level(Level(schema=1, device="hall", source="mic", dbfs=dbfs, peak_dbfs=-20, rms=0.01))
    kept = counted.tallies.levels["mic"]
    assert kept
    assert kept[1].dbfs == -30
    assert counted.tallies.levels["yard"] is None
