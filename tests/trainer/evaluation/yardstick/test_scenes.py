"""Scenes are the same every time, say truly what is in them, and a model that lacks a label misses all of it."""

import numpy as np
import pytest

from asit_edge.errors import WrongUse
from tests.conftest import RATE
from tests.trainer.evaluation.yardstick.sounds import Ear
from trainer.data.left_out import is_left_out, split_left_out
from trainer.data.recording import Recording
from trainer.evaluation.families import related
from trainer.evaluation.yardstick.listening import Scenes, ambience, scene_library, scenes_of
from trainer.evaluation.yardstick.scenes import scene_quality


@pytest.fixture(scope="module")
def scenes(recordings: list[Recording]) -> Scenes:
    _, left_out = split_left_out(recordings)
    return scenes_of(scene_library(left_out, ["Dog", "Doorbell"]), 12, 1)


def test_they_are_made_of_left_out_sounds_alone(scenes: Scenes) -> None:
    library = scenes.sounds
    sounds = [one for own in library.wanted.values() for one in own]
    assert all(is_left_out(one) for one in [*sounds, *library.others, *library.backgrounds])
    assert library.classes == ["Bark", "Dog", "Doorbell"]
    assert {one.label for one in library.others} == {"Whistle"}
    assert {one.path.name for one in library.backgrounds} == {"rain.wav"}, "places whose label is known"
    apart = [*library.others, *library.backgrounds]
    assert not any(related(one.label, name) for one in apart for name in library.classes)


def test_they_are_the_same_in_any_order_and_at_any_rate(scenes: Scenes, recordings: list[Recording]) -> None:
    again = scenes_of(scene_library(split_left_out(recordings)[1], ["Dog", "Doorbell"]), 3, 1)
    later, first = again.samples(2, RATE), again.samples(0, RATE)
    assert np.array_equal(later, scenes.samples(2, RATE))
    assert np.array_equal(first, scenes.samples(0, RATE))
    assert len(scenes.samples(0, 2 * RATE)) == 2 * len(first)


def test_a_bark_is_an_event_of_dog_too(scenes: Scenes) -> None:
    names = scenes.sounds.classes
    found = [(names[event.label], event.onset, event.offset) for n in range(12) for event in scenes.events(n)]
    barks = [(onset, offset) for name, onset, offset in found if name == "Bark"]
    assert barks
    assert set(barks) <= {(onset, offset) for name, onset, offset in found if name == "Dog"}
    for number in range(12):
        heard = {names[event.label] for event in scenes.events(number)}
        assert heard <= scenes.labels(number)
        assert "Rain" in scenes.labels(number), "the place counts"


def test_who_hears_everything_misses_nothing_and_who_lacks_a_label_all_of_it(scenes: Scenes) -> None:
    whole = scene_quality(Ear("Bark", "Dog", "Doorbell"), scenes)
    lacking = scene_quality(Ear("Dog", "Whistle"), scenes)
    assert whole["events"] == lacking["events"] > 10
    # A dog's pitch is not a bark's: what is an event of both is heard as one of them.
    assert whole["by_label"]["Doorbell"]["psds2"] > 0.8
    assert whole["missed_at"]["20"] < 0.5
    assert lacking["unknown"] == ["Bark", "Doorbell"]
    assert lacking["by_label"]["Doorbell"]["psds2"] == 0.0
    assert lacking["by_label"]["Doorbell"]["psds1"] == 0.0
    share = sum(lacking["by_label"][name]["events"] for name in lacking["unknown"]) / lacking["events"]
    assert lacking["missed_at"]["20"] >= share


def test_at_its_own_thresholds_a_model_is_judged_as_it_would_be_heard(scenes: Scenes) -> None:
    ear = Ear("Bark", "Dog", "Doorbell")
    everything = scene_quality(ear, scenes)
    alarms = sum(facts["alarms"] for facts in everything["by_label"].values())
    assert everything["own"]["missed"] < 0.5
    assert everything["own"]["alarms_per_hour"] == pytest.approx(alarms / everything["hours"])
    ear.classes = [None, None, ear.classes[2]]  # only doorbells are reported
    doorbells = scene_quality(ear, scenes)
    assert doorbells["missed_at"] == everything["missed_at"], "one threshold for all: also what is not reported"
    kept = doorbells["by_label"]["Doorbell"]
    assert kept["missed"] == 0
    assert doorbells["own"]["missed"] == pytest.approx(1 - kept["events"] / doorbells["events"])
    assert doorbells["by_label"]["Dog"]["missed"] == doorbells["by_label"]["Dog"]["events"]


def test_ambience_is_of_places_only(recordings: list[Recording]) -> None:
    names = {one.path.name for one in ambience(split_left_out(recordings)[1]).recordings}
    assert names == {"rain.wav", "knocked.wav", "nobody.wav", "dogs.wav"}


def test_without_sounds_there_are_no_scenes(recordings: list[Recording]) -> None:
    with pytest.raises(WrongUse, match="no label has 3 short clips"):
        scene_library(split_left_out(recordings)[1], ["Piano"])
