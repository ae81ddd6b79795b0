"""Soundscapes: labels lie where the sounds are, levels are what was asked for, and the seed decides everything."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asit_edge.errors import WrongUse
from tests.trainer.commands import run
from trainer.data.dataset import Clip
from trainer.data.layouts import folder
from trainer.soundscapes import SceneConfig, Sound, active, collect, in_part, in_room, loop_background, mix_scene, rms

RATE = 16_000


def tone(frequency: float, seconds: float, silence: float = 0.0) -> np.ndarray:
    samples = 0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)
    quiet = np.zeros(round(silence * RATE))
    return np.concatenate((quiet, samples, quiet)).astype(np.float32)


def sound(name: str, samples: np.ndarray, labelled: bool = True) -> Sound:
    return Sound(Clip(Path(f"{name}.wav"), (name,)), samples, labelled)


def noise(seconds: float, seed: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32)


def test_what_is_audible_of_a_clip() -> None:
    assert active(tone(440, 1.0, silence=0.5), RATE) == (RATE // 2, 3 * RATE // 2)
    assert active(np.zeros(RATE, np.float32), RATE) == (0, 0)
    assert active(np.zeros(0, np.float32), RATE) == (0, 0)


def test_labels_lie_where_the_sounds_are_and_levels_are_as_asked() -> None:
    config = SceneConfig(seconds=10, snr_db=(12, 12), background_db=(-40, -40))
    scene = mix_scene(np.random.default_rng(0), config, [sound("Beep", tone(1000, 1.0))], noise(10))
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
    config = SceneConfig(seconds=5, snr_db=(20, 20))
    scene = mix_scene(np.random.default_rng(0), config, [sound("Cat", tone(500, 1), labelled=False)], noise(5))
    assert scene.events == []
    assert scene.recipe["sounds"][0]["labelled"] is False
    assert active(scene.samples, RATE, -10)[1] - active(scene.samples, RATE, -10)[0] == pytest.approx(RATE, abs=1000)


@pytest.mark.parametrize("overlap", [True, False])
def test_sounds_of_one_class_never_overlap_and_others_only_if_they_may(overlap: bool) -> None:
    together = 0
    for seed in range(20):
        sounds = [sound(name, tone(frequency, 1.5)) for name, frequency in (("A", 300), ("A", 300), ("B", 900)) * 2]
        config = SceneConfig(seconds=8, overlap=overlap)
        events = mix_scene(np.random.default_rng(seed), config, sounds, noise(8)).events
        assert events
        for first, second in ((a, b) for a in events for b in events if a is not b):
            overlapping = first.onset < second.offset and second.onset < first.offset
            assert not (overlapping and first.category == second.category)
            together += overlapping
    assert bool(together) == overlap


def test_a_room_makes_a_sound_longer_and_not_louder() -> None:
    response = np.zeros(RATE, np.float32)
    response[400:] = np.exp(-np.arange(RATE - 400) / 3000) * noise(1)[: RATE - 400] * 0.1
    response[400] = 1.0
    dry = tone(700, 0.5)
    wet = in_room(dry, response)
    assert rms(wet[: len(dry)]) == pytest.approx(rms(dry), rel=0.01)
    assert active(wet, RATE)[0] == 0
    assert active(wet, RATE)[1] > len(dry) + 1000


def test_a_short_background_is_repeated_without_a_hole() -> None:
    rng = np.random.default_rng(0)
    looped = loop_background(noise(1.3), 5 * RATE, rng, RATE)
    assert len(looped) == 5 * RATE
    blocks = looped[: 5 * RATE // 800 * 800].reshape(-1, 800)
    assert np.sqrt((blocks**2).mean(axis=1)).min() > 0.7


def test_train_and_test_share_no_recording() -> None:
    groups = [f"recording-{index}" for index in range(1000)]
    test = {group for group in groups if in_part(group, "test", 0.3)}
    train = {group for group in groups if in_part(group, "train", 0.3)}
    assert not test & train
    assert test | train == set(groups)
    assert 250 < len(test) < 350


@pytest.fixture(scope="module")
def sounds_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sounds")
    for name, frequency in (("Beep", 1000), ("Buzz", 200), ("Cat", 600)):
        (root / name).mkdir()
        for take in range(3):
            soundfile.write(root / name / f"{take}.wav", tone(frequency + 20 * take, 0.7, 0.2), RATE)
    return root


def test_the_command_writes_what_the_folder_layout_reads(sounds_folder: Path, tmp_path: Path) -> None:
    arguments = ["--foreground", sounds_folder, "--label", "Beep", "--label", "Buzz", "--seconds", "4"]
    done = run("trainer.soundscapes", tmp_path / "a", *arguments, "--count", "6", "--quiet", "0.3")
    assert done.returncode == 0, done.stderr
    dataset = folder.read(tmp_path / "a")
    assert dataset.strong
    assert dataset.categories == ["Beep", "Buzz"]
    assert len(dataset.clips) == 6
    assert 0 < sum(not clip.events for clip in dataset.clips) < 6
    assert all(len(samples) == 4 * RATE for samples in dataset.load(RATE))
    recipes = [json.loads(line) for line in (tmp_path / "a" / "recipes.jsonl").read_text().splitlines()]
    used = {sound["path"] for recipe in recipes[1:] for sound in recipe["sounds"] if not sound["labelled"]}
    assert used
    assert all("/Cat/" in path for path in used)
    again = run("trainer.soundscapes", tmp_path / "b", *arguments, "--count", "8", "--quiet", "0.3")
    assert again.returncode == 0, again.stderr
    for number in range(6):
        name = f"audio/soundscape-{number:05d}.flac"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_backgrounds_with_a_wanted_sound_are_left_out(sounds_folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "backgrounds.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label"])
        rows.writerow([sounds_folder / "Beep" / "0.wav", "Beep"])
    with pytest.raises(WrongUse, match="every clip there has a wanted label"):
        collect([sounds_folder], [table], [], ["Beep"], "all", 0.3, RATE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--label", "Bep"], "--label 'Bep': not in the foreground (did you mean 'Beep'?)"),
        (["--part", "tset"], "--part tset: must be all, train or test"),
        (["--events", "3", "1"], "--events 3 1: lowest first"),
    ],
)
def test_wrong_use_is_one_line(sounds_folder: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    done = run("trainer.soundscapes", tmp_path / "out", "--foreground", sounds_folder, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
