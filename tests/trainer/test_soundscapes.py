"""The command: what it writes is read back, the seed decides everything, and wrong use is one line."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asit_edge.errors import WrongUse
from tests.trainer.commands import run
from trainer.data.layouts import folder
from trainer.data.soundscapes import collect

RATE = 16_000


def tone(frequency: float, seconds: float, silence: float = 0.0) -> np.ndarray:
    samples = 0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)
    quiet = np.zeros(round(silence * RATE))
    return np.concatenate((quiet, samples, quiet)).astype(np.float32)


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
    assert len(dataset.recordings) == 6
    assert 0 < sum(not clip.events for clip in dataset.recordings) < 6
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
        collect(
            [(sounds_folder, folder.read(sounds_folder))], folder.read(table).recordings, [], ["Beep"], "all", 0.3, RATE
        )


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
