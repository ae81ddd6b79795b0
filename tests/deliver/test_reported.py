"""Which labels each source reports, under which names, and the state that is true before anything is heard."""

import json
from pathlib import Path
from typing import Any

import pytest

from asit_edge.config.root import Config
from asit_edge.deliver.reported import news, reported, starting_state
from asit_edge.errors import WrongUse
from asit_edge.model.bundle import BundleLabel, Manifest, load_bundle
from asit_edge.mqtt.topics import Topics

SINCE = "2026-01-01T00:00:00.000Z"


@pytest.fixture
def manifest(tone_bundle: Path) -> Manifest:
    return load_bundle(tone_bundle).manifest


def configured(*sources: dict[str, Any], **more: Any) -> Config:
    return Config.model_validate(
        {"sources": [{"type": "file", "path": "never-opened.wav", **source} for source in sources], **more}
    )


def test_a_label_is_known_if_any_source_reports_it_and_each_source_has_its_thresholds(manifest: Manifest) -> None:
    low = {"only": ["Low tone"], "labels": {"Low tone": {"on_threshold": 0.9}}}
    known = reported(configured({"name": "mic", "events": low}, {"name": "yard"}), manifest)
    assert known.names == {"low_tone": "Low tone", "high_tone": "High tone"}
    assert known.thresholds == {"mic": {"low_tone": 0.9}, "yard": {"low_tone": 0.5, "high_tone": 0.5}}
    assert known.slug_of("High tone") == "high_tone"
    assert known.slug_of("Dog") is None


def test_a_label_that_no_source_reports_is_not_known(manifest: Manifest) -> None:
    known = reported(configured({"name": "mic"}, events={"only": ["Low tone"]}), manifest)
    assert list(known.slugs.values()) == list(known.names) == ["low_tone"]


def test_a_label_that_the_model_does_not_have_is_named_with_its_key(manifest: Manifest) -> None:
    with pytest.raises(WrongUse, match=r"sources\[0\].events.only: the model has no label 'Dog'"):
        reported(configured({"name": "mic", "events": {"only": ["Dog"]}}), manifest)


def test_at_the_start_every_source_is_starting_and_every_sound_is_off(manifest: Manifest) -> None:
    own = dict(starting_state(Topics("asit", "hall"), reported(configured({"name": "mic"}), manifest), SINCE))
    status = json.loads(own.pop("asit/hall/mic/status"))
    assert (status["state"], status["since"]) == ("starting", SINCE)
    adjusted = json.loads(own.pop("asit/hall/mic/adjusted"))
    assert (adjusted["listen"], adjusted["snoozed_until"], adjusted["labels"]) == (True, None, {})
    assert own == {
        "asit/hall/mic/sound/low_tone": "OFF",
        "asit/hall/mic/sound/high_tone": "OFF",
        "asit/hall/mic/threshold/low_tone": "0.5",
        "asit/hall/mic/threshold/high_tone": "0.5",
    }


def test_labels_that_come_and_go_are_told_alone_and_what_is_gone_is_emptied(manifest: Manifest) -> None:
    config, topics = configured({"name": "mic"}), Topics("asit", "hall")
    bell = BundleLabel(name="Bell", id="bell", on_threshold=0.5, off_threshold=0.3, taught=True)
    more = manifest.model_copy(update={"labels": [*manifest.labels, bell]})
    before, after = reported(config, manifest), reported(config, more)
    came = dict(news(topics, before, after))
    assert set(came) == {"asit/hall/mic/sound/bell", "asit/hall/mic/threshold/bell"}
    assert came["asit/hall/mic/sound/bell"] == "OFF"
    assert dict(news(topics, after, before)) == dict.fromkeys(came, "")
    assert list(news(topics, after, after)) == []


@pytest.mark.parametrize(
    ("events", "labels", "chosen"),
    [
        ({}, None, {"bell"}),
        ({"only": ["Low tone"]}, None, {"low_tone", "bell"}),
        ({"labels": {"High tone": {"on_threshold": 0.9}}}, None, {"high_tone", "bell"}),
        ({"labels": {"High tone": {"on_threshold": 0.9}}}, ["Low tone"], {"low_tone", "bell"}),
        ({}, [], {"bell"}),
    ],
)
def test_what_somebody_has_named_or_taught_is_chosen(
    manifest: Manifest, events: dict[str, Any], labels: list[str] | None, chosen: set[str]
) -> None:
    bell = BundleLabel(name="Bell", id="bell", on_threshold=0.5, off_threshold=0.3, taught=True)
    more = manifest.model_copy(update={"labels": [*manifest.labels, bell]})
    own = {"name": "mic", "events": events}
    known = reported(configured(own, {"name": "yard"}, home_assistant={"labels": labels}), more)
    assert known.chosen["mic"] == chosen
    assert known.chosen["yard"] == ({"low_tone", "bell"} if labels else {"bell"}), "what is named for another is not"


def test_a_taught_label_is_reported_whatever_only_says_until_it_is_gone(manifest: Manifest) -> None:
    bell = BundleLabel(name="Bell", id="bell", on_threshold=0.5, off_threshold=0.3, taught=True)
    gone = bell.model_copy(update={"experimental": True})
    config = configured({"name": "mic"}, events={"only": ["Low tone"]})
    for label, names in ((bell, {"Low tone", "Bell"}), (gone, {"Low tone"})):
        more = manifest.model_copy(update={"labels": [*manifest.labels, label]})
        assert set(reported(config, more).names.values()) == names
