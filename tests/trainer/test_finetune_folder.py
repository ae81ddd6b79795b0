"""The user's way: a folder of own sounds, two seeds, and what the run leaves behind."""

import json
import re
from pathlib import Path

import pytest
import soundfile

from asit_edge.model.bundle import load_bundle
from tests.conftest import RATE, tones
from tests.trainer.commands import call, run
from trainer.finetune import main

QUICK = ["--steps", "4", "--batch", "4", "--threads", "1", "--set", "evaluations=2"]
WINDOWS = [*QUICK, "--size", "nano", "--set", "frames=48"]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("my-sounds")
    for name, frequency in (("Kettle", 2500), ("Drill", 200), ("_other", 800)):
        for recording in range(6):
            folder = root / name / f"recording{recording}"
            folder.mkdir(parents=True)
            for take in range(2):
                clip = tones((0, 0.3), (frequency + 20 * recording + 5 * take, 0.7))
                soundfile.write(folder / f"{take}.wav", clip, RATE)
    return root


def test_a_folder_becomes_a_detector_tested_on_unheard_recordings(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["folder", "--data", sounds, "--out", out, *WINDOWS, "--seed", "0", "--seed", "1"]
    done = run("trainer.finetune", *command)
    assert done.returncode == 0, done.stderr
    assert re.search(r"test: mAP [01]\.\d{3} [01]\.\d{3} on \d+ clips", done.stdout)
    assert "deviation over 2 seeds" in done.stdout
    assert "validation" in done.stderr
    again = run("trainer.finetune", *command)
    assert "saved" not in again.stdout
    assert again.stdout.splitlines()[-2:] == done.stdout.splitlines()[-2:]
    runs = json.loads((out / "results.json").read_text())["runs"]["test"]
    assert set(runs) == {"0", "1"}
    listed = (out / "test-seed0.csv").read_text().splitlines()
    assert len(listed) == 1 + runs["0"]["clips"]

    evaluated = run("trainer.evaluate", out / "test-seed0.pt", sounds, "--json", "--threads", "1")
    assert evaluated.returncode == 0, evaluated.stderr
    parts = json.loads(evaluated.stdout)["parts"]
    assert list(parts) == ["test"]  # not what it was trained on
    assert parts["test"]["clips"] == runs["0"]["clips"]
    assert parts["test"]["map"]["value"] == pytest.approx(runs["0"]["map"])

    exported = run("export.bundle", out / "test-seed0.pt", tmp_path / "bundle")
    assert exported.returncode == 0, exported.stderr
    manifest = load_bundle(tmp_path / "bundle").manifest
    assert [label.name for label in manifest.labels] == ["Drill", "Kettle"]
    assert "tested_on" not in manifest.training


def test_clips_of_unknown_recordings_are_not_split(sounds: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    for name in ("Kettle", "Drill"):
        (flat / name).mkdir(parents=True)
        for recording in range(6):
            (flat / name / f"{recording}.wav").symlink_to(sounds / name / f"recording{recording}" / "0.wav")
    refused = run("trainer.finetune", "folder", "--data", flat, "--out", tmp_path / "out", *WINDOWS)
    assert refused.returncode == 2
    assert "--split-by-file" in refused.stderr
    assert refused.stderr.count("\n") == 1
    done = run("trainer.finetune", "folder", "--data", flat, "--out", tmp_path / "out", *WINDOWS, "--split-by-file")
    assert done.returncode == 0, done.stderr


def test_whole_clips_with_cross_entropy_and_a_running_average(sounds: Path, tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    rows = [
        f"{sounds / name / f'recording{recording}' / '0.wav'},{name},{name}{recording}"
        for name in ("Kettle", "Drill")
        for recording in range(6)
    ]
    table.write_text("\n".join(["path,label,group", *rows]) + "\n")
    recipe = ["--recipe", "speech-commands-v2", "--size", "nano", "--epochs", "2", "--batch", "4", "--set", "workers=1"]
    done = run("trainer.finetune", "folder", "--data", table, "--out", tmp_path / "out", *recipe, "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert "test: accuracy" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["foldr"], "foldr: unknown task (did you mean 'folder'?)"),
        (["folder", "--set", "stepz=3"], "--set stepz: unknown (did you mean 'steps'?)"),
        (
            ["folder", "--size", "nano", "--set", "loss=ce"],
            "several classes or none, which needs --set loss=bce",
        ),
        (["folder", "--initial", "nowhere.pt"], "nowhere.pt: no such checkpoint"),
        (["speech-commands-v2"], "no validation_list.txt"),
    ],
)
def test_wrong_use_is_one_line(
    sounds: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("trainer.finetune", main, *arguments, "--data", sounds, "--out", tmp_path / "out") == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
