"""Soundscapes: labels lie where the sounds are, and levels are what was asked for."""

from pathlib import Path

import numpy as np
import pytest

from trainer.data.mixing import active, rms
from trainer.data.recording import Recording
from trainer.data.soundscapes import Sound, SoundscapeConfig, in_part, mix_soundscape

RATE = 16_000


def tone(frequency: float, seconds: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def sound(name: str, samples: np.ndarray, labelled: bool = True) -> Sound:
    return Sound(Recording(Path(f"{name}.wav"), (name,)), samples, labelled)


def noise(seconds: float, seed: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32)


def test_labels_lie_where_the_sounds_are_and_levels_are_as_asked() -> None:
    config = SoundscapeConfig(seconds=10, snr_db=(12, 12), background_db=(-40, -40))
    scene = mix_soundscape(np.random.default_rng(0), config, [sound("Beep", tone(1000, 1.0))], noise(10))
    (event,) = scene.events
    assert event.category == "Beep"
    assert event.offset - event.onset == pytest.approx(1.0, abs=0.03)
    inside = np.zeros(len(scene.samples), bool)
    inside[round(event.onset * RATE) : round(event.offset * RATE)] = True
    background = rms(scene.samples[~inside])
    assert 20 * np.log10(background) == pytest.approx(-40, abs=0.5)
    alone = np.sqrt(rms(scene.samples[inside]) ** 2 - background**2)
    assert 20 * np.log10(alone / background) == pytest.approx(12, abs=0.5)


def test_sounds_of_other_classes_are_heard_but_not_labelled() -> None:
    config = SoundscapeConfig(seconds=5, snr_db=(20, 20))
    scene = mix_soundscape(np.random.default_rng(0), config, [sound("Cat", tone(500, 1), labelled=False)], noise(5))
    assert scene.events == []
    assert scene.recipe["sounds"][0]["labelled"] is False
    assert active(scene.samples, RATE, -10)[1] - active(scene.samples, RATE, -10)[0] == pytest.approx(RATE, abs=1000)


@pytest.mark.parametrize("overlap", [True, False])
def test_sounds_of_one_class_never_overlap_and_others_only_if_they_may(overlap: bool) -> None:
    together = 0
    for seed in range(20):
        sounds = [sound(name, tone(frequency, 1.5)) for name, frequency in (("A", 300), ("A", 300), ("B", 900)) * 2]
        config = SoundscapeConfig(seconds=8, overlap=overlap)
        events = mix_soundscape(np.random.default_rng(seed), config, sounds, noise(8)).events
        assert events
        for first, second in ((a, b) for a in events for b in events if a is not b):
            overlapping = first.onset < second.offset and second.onset < first.offset
            assert not (overlapping and first.category == second.category)
            together += overlapping
    assert bool(together) == overlap


def test_train_and_test_share_no_recording() -> None:
    groups = [f"recording-{index}" for index in range(1000)]
    test = {group for group in groups if in_part(group, "test", 0.3)}
    train = {group for group in groups if in_part(group, "train", 0.3)}
    assert not test & train
    assert test | train == set(groups)
    assert 250 < len(test) < 350
