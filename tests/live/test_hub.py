"""The picture of now: bounded, at no cost where nobody looks, and never in the way of the listening."""

import base64
import json
import threading
import time
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from asit_edge.live.columns import BANDS
from asit_edge.live.subscriber import MOST_KEPT, MOST_LIVE, Subscriber, Told
from asit_edge.model.bundle import BundleLabel, load_bundle
from tests.conftest import tones
from tests.integration.mosquitto import wait_for
from tests.live.pictures import config_of, heard, hub_of, level, status
from tests.store.samples import gap


def kinds(told: list[Told]) -> list[str]:
    return [one.kind for one in told]


def test_whoever_comes_later_sees_how_it_is(tone_bundle: Path) -> None:
    hub = hub_of(tone_bundle)
    hub.status(status("listening"))
    hub.level(level())
    hub.scored("kitchen", 1.0, np.array([[0.1, 0.2], [0.7, 0.3]], np.float32))
    hub.decided(2, 0.01)
    hub.events("kitchen", [heard(0), heard(1), heard(0, "end")])
    hub.gap(gap())
    picture = hub.picture()
    assert json.loads(json.dumps(picture)) == picture
    kitchen, garden = picture["sources"]
    assert kitchen["status"]["state"] == "listening"
    assert kitchen["level"]["dbfs"] == -40.0
    assert kitchen["scores"] == [{"label": "Low tone", "score": 0.7}, {"label": "High tone", "score": 0.3}]
    assert (garden["status"], garden["level"], garden["scores"]) == (None, None, [])
    assert [event["id"] for event in picture["active"]] == ["id-1"]
    assert [one["cause"] for one in picture["gaps"]] == ["overrun"]
    assert picture["times"] == {"latency_ms": 100, "latency_ms_most": 100, "inference_ms": 5.0}


def test_who_watches_is_told_and_who_has_left_is_not(tone_bundle: Path) -> None:
    hub = hub_of(tone_bundle)
    watcher, gone = hub.subscribe(columns=False), hub.subscribe(columns=False)
    hub.leave(gone)
    hub.status(status("listening"))
    hub.events("kitchen", [heard()])
    hub.level(level())
    hub.scored("kitchen", 1.0, np.array([[0.9, 0.0]], np.float32))
    hub.threshold("kitchen", "Low tone", 0.25)
    assert kinds(watcher.take()) == ["status", "event", "threshold", "level", "scores"]
    assert watcher.take() == gone.take() == []


def test_a_source_that_does_not_listen_has_no_level_and_no_scores(tone_bundle: Path) -> None:
    hub = hub_of(tone_bundle)
    hub.level(level())
    hub.scored("kitchen", 1.0, np.array([[0.9, 0.0]], np.float32))
    hub.status(status("lost"))
    source = hub.picture()["sources"][0]
    assert (source["level"], source["scores"]) == (None, [])


def test_thresholds_are_those_of_the_configuration_until_they_are_set(tone_bundle: Path) -> None:
    hub = hub_of(tone_bundle, events={"labels": {"Low tone": {"on_threshold": 0.4}}})
    hub.threshold("garden", "Low tone", 0.6)
    low, high = hub.labels()
    assert low["thresholds"] == {"kitchen": 0.4, "garden": 0.6}
    assert high["thresholds"] == {"kitchen": 0.5, "garden": 0.5}


def test_what_is_not_reported_is_not_shown(tone_bundle: Path) -> None:
    hub = hub_of(tone_bundle, events={"only": ["High tone"]})
    hub.scored("kitchen", 1.0, np.array([[0.9, 0.4]], np.float32))
    assert [one["name"] for one in hub.labels()] == ["High tone"]
    assert hub.picture()["sources"][0]["scores"] == [{"label": "High tone", "score": 0.4}]


def test_a_sound_that_is_taught_meanwhile_is_known(tone_bundle: Path) -> None:
    hub = hub_of(tone_bundle)
    watcher = hub.subscribe(columns=False)
    hub.threshold("kitchen", "Low tone", 0.3)
    manifest = load_bundle(tone_bundle).manifest
    bell = BundleLabel(name="Bell", id="bell", on_threshold=0.5, off_threshold=0.3, taught=True)
    hub.scored("kitchen", 1.0, np.array([[0.9, 0.4]], np.float32))
    hub.know(manifest.model_copy(update={"labels": [*manifest.labels, bell]}))
    hub.scored("kitchen", 1.0, np.array([[0.9, 0.4]], np.float32))  # of a chunk before it was known
    assert "labels" in kinds(watcher.take())
    found = {one["name"]: one for one in hub.labels()}
    assert found["Bell"]["taught"] is True
    assert found["Low tone"]["thresholds"]["kitchen"] == 0.3


def test_what_is_adjusted_is_shown(tone_bundle: Path) -> None:
    class Adjusted(BaseModel):
        source: str = "kitchen"
        listen: bool = False
        snoozed_until: str | None = "2026-01-01T00:00:00.000Z"
        labels: dict[str, dict[str, object]] = {
            "Low tone": {"threshold": 0.7, "report": False, "snoozed_until": None},
            "High tone": {"threshold": None, "report": True, "snoozed_until": "2026-01-01T00:00:01.000Z"},
        }

    hub = hub_of(tone_bundle)
    hub.adjusted(Adjusted())
    low, high = hub.labels()
    assert (low["thresholds"]["kitchen"], low["muted"], low["snoozed"]) == (0.7, ["kitchen"], {})
    assert (high["thresholds"]["kitchen"], high["muted"], high["snoozed"]) == (0.5, [], {"kitchen": 1767225601.0})
    kitchen, garden = hub.picture()["sources"]
    assert (kitchen["listen"], kitchen["snoozed"]) == (False, 1767225600.0)
    assert (garden["listen"], garden["snoozed"]) == (True, None)


def test_who_is_slow_loses_the_oldest_and_is_told() -> None:
    slow = Subscriber(columns=False)
    for number in range(MOST_KEPT + 50):
        slow.tell(Told("event", number))
        slow.tell(Told("level", number, live=True))
    told = slow.take()
    assert kinds(told) == ["behind", *["event"] * MOST_KEPT, *["level"] * MOST_LIVE]
    assert told[1].data == 50
    assert told[-1].data == MOST_KEPT + 49
    assert slow.take() == []


def test_a_spectrogram_is_computed_only_while_somebody_looks(tone_bundle: Path) -> None:
    hub = hub_of(tone_bundle)
    threads = threading.active_count()
    second = tones((3000, 1))
    hub.heard("kitchen", 0.0, second, 16_000)
    blind = hub.subscribe(columns=False)
    hub.heard("kitchen", 1.0, second, 16_000)
    assert threading.active_count() == threads
    watcher = hub.subscribe(columns=True)
    for number in range(20):
        hub.heard("kitchen", 2.0 + number / 20, second[:800], 16_000)
    told: list[Told] = []
    wait_for(lambda: told.extend(watcher.take()) or sum(one.kind == "columns" for one in told), 5, "columns")
    time.sleep(0.3)
    told += watcher.take()
    columns = [one.data for one in told]
    assert {one["source"] for one in columns} == {"kitchen"}
    assert columns[0]["epoch"] == 2.0
    assert columns[0]["step"] == 0.05
    found = np.frombuffer(b"".join(base64.b64decode(one["data"]) for one in columns), np.uint8).reshape(-1, BANDS)
    assert len(found) == 19
    assert (np.abs(found.argmax(axis=1) - 40) < 4).all()
    assert blind.take() == []
    hub.leave(watcher)
    wait_for(lambda: threading.active_count() == threads, 5, "the thread ends")


def test_after_a_gap_columns_begin_where_the_sound_does(tone_bundle: Path) -> None:
    hub = hub_of(tone_bundle)
    watcher = hub.subscribe(columns=True)
    second = tones((500, 1))
    hub.heard("kitchen", 10.0, second, 16_000)
    hub.heard("kitchen", 60.0, second, 16_000)
    told: list[Told] = []
    wait_for(lambda: told.extend(watcher.take()) or len(told) >= 2, 5, "columns of both")
    hub.leave(watcher)
    assert [one.data["epoch"] for one in told] == [10.0, 60.0]


def test_a_configuration_that_is_changed_is_shown(tone_bundle: Path) -> None:
    hub, manifest = hub_of(tone_bundle, events={"only": ["High tone"]}), load_bundle(tone_bundle).manifest
    hub.threshold("kitchen", "Low tone", 0.8)
    events = {"only": ["Low tone"], "labels": {"Low tone": {"on_threshold": 0.4}}}
    hub.configured(config_of(events=events))
    hub.know(manifest)
    (low,) = hub.labels()
    assert (low["name"], low["thresholds"]) == ("Low tone", {"kitchen": 0.4, "garden": 0.4})
    assert hub.names() == {manifest.labels[0].id: "Low tone"}
