"""What Home Assistant is told over a device's life: once, what changes, what is gone, and a move in its order."""

import json
from pathlib import Path
from typing import Any

import pytest

from asit_edge.config.root import Config
from asit_edge.deliver.home_assistant import LET_GO_SECONDS, HomeAssistant
from asit_edge.deliver.reported import Reported, reported
from asit_edge.model.bundle import BundleLabel, Manifest, load_bundle
from asit_edge.mqtt.discovery import MIGRATE
from asit_edge.mqtt.topics import Topics

BOX = "homeassistant/device/asit_edge_hall-box/config"
MIC = "homeassistant/device/asit_edge_hall-source-mic/config"
OLD = ["homeassistant/sensor/asit_edge_hall/level-mic/config", "homeassistant/switch/asit_edge_hall/listen-mic/config"]
OTHERS = "homeassistant/sensor/asit_edge_attic/level-mic/config"


@pytest.fixture
def manifest(tone_bundle: Path) -> Manifest:
    return load_bundle(tone_bundle).manifest


def configured(layout: str = "device") -> Config:
    sources = [{"type": "file", "name": "mic", "path": "never-opened.wav"}]
    return Config.model_validate({"device": "hall", "sources": sources, "home_assistant": {"discovery": layout}})


def home(folder: Path, kept: list[str] | None = None, layout: str = "device") -> HomeAssistant:
    return HomeAssistant(configured(layout), Topics("asit", "hall"), "tones 1", kept or [], folder / "noted")


def known(manifest: Manifest, *taught: str) -> Reported:
    labels = [BundleLabel(name=one, id=one, on_threshold=0.5, off_threshold=0.3, taught=True) for one in taught]
    return reported(configured(), manifest.model_copy(update={"labels": [*manifest.labels, *labels]}))


def components(payload: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(payload)["cmps"]
    return found


def test_only_what_changes_is_said_again(tmp_path: Path, manifest: Manifest) -> None:
    one = home(tmp_path)
    assert list(one.know(known(manifest))) == [BOX, MIC]
    assert one.know(known(manifest)) == {}
    changed = one.know(known(manifest, "Bell"))
    assert list(changed) == [MIC]
    assert components(changed[MIC])["sound-bell"]["name"] == "Bell"
    assert one.moved(known(manifest), True, 1e9) == ({}, set()), "nothing has to move"


def test_what_is_gone_is_said_to_be_also_after_a_restart_and_once(tmp_path: Path, manifest: Manifest) -> None:
    one = home(tmp_path)
    one.know(known(manifest, "Bell"))
    gone = {"sound-bell": {"p": "binary_sensor"}, "threshold-bell": {"p": "number"}}
    said = components(one.know(known(manifest))[MIC])
    assert {key: said[key] for key in gone} == gone
    assert components(one.know(known(manifest, "Bell"))[MIC])["sound-bell"]["name"] == "Bell", "it is there again"
    said = components(home(tmp_path).know(known(manifest))[MIC])
    assert {key: said[key] for key in gone} == gone
    assert not set(gone) & set(components(home(tmp_path).know(known(manifest))[MIC]))
    assert (tmp_path / "noted").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}'])
def test_what_cannot_be_read_is_said_and_harms_nothing(
    tmp_path: Path, manifest: Manifest, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "noted").write_text(content)
    assert list(home(tmp_path).know(known(manifest))) == [BOX, MIC]
    assert "cannot be read; entities that are gone" in caplog.text
    assert "sound-low_tone" in (tmp_path / "noted").read_text(), "the next run knows"


def test_where_nothing_can_be_noted_it_goes_on(
    tmp_path: Path, manifest: Manifest, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "noted").mkdir()
    assert list(home(tmp_path).know(known(manifest))) == [BOX, MIC]
    assert "stay in Home Assistant" in caplog.text


def test_a_move_asks_waits_announces_and_empties(tmp_path: Path, manifest: Manifest) -> None:
    one, now = home(tmp_path, [*OLD, OTHERS]), 100.0
    assert one.know(known(manifest)) == dict.fromkeys(OLD, MIGRATE)
    assert one.know(known(manifest, "Bell")) == {}, "it comes behind"
    late = known(manifest, "Bell")
    for connected, at in ((False, 0), (True, 1), (True, LET_GO_SECONDS), (False, 60), (True, 70)):
        assert one.moved(late, connected, now + at) == ({}, set())
    states, old = one.moved(late, True, now + 70 + LET_GO_SECONDS)
    assert list(states) == [BOX, MIC]
    assert "sound-bell" in components(states[MIC])
    assert old == set(OLD)
    assert one.moved(late, True, 1e9) == ({}, set()), "once"


def test_a_move_back_goes_the_same_way(tmp_path: Path, manifest: Manifest) -> None:
    one = home(tmp_path, [BOX, MIC, *OLD], "entities")
    assert one.know(known(manifest)) == dict.fromkeys([BOX, MIC], MIGRATE)
    one.moved(known(manifest), True, 0.0)
    states, old = one.moved(known(manifest), True, LET_GO_SECONDS)
    assert set(OLD) <= set(states)
    assert old == {BOX, MIC}
