"""The user's way: a folder of own sounds, two seeds, and what the run leaves behind."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
import soxr

from asit_edge.model.bundle import load_bundle
from tests.conftest import RATE, tones
from tests.trainer.commands import call, run
from trainer.evaluate import main as evaluate
from trainer.finetune import main
from trainer.finetuning.checkpoint import FINETUNED, load_finetuned
from trainer.run.checkpoint import load_checkpoint, save_checkpoint

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

    assert "test is tiny: 3 of 3 classes have fewer than 10 recordings" in done.stderr
    assert "thresholds are guesses" in done.stderr
    assert runs["0"]["few_tested"] == {"Drill": 1, "Kettle": 1, "negatives": 1}
    assert "heard" not in runs["0"]

    exported = run("export.bundle", out / "test-seed0.pt", tmp_path / "bundle", "--golden-tries", "64")
    assert exported.returncode == 0, exported.stderr
    manifest = load_bundle(tmp_path / "bundle").manifest
    assert [label.name for label in manifest.labels] == ["Drill", "Kettle"]
    assert not {"tested_on", "heard"} & manifest.training.keys()


@pytest.fixture(scope="module")
def checkpoint(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    assert call("trainer.finetune", main, "folder", "--data", sounds, "--out", out, *WINDOWS) == 0
    return out / "test.pt"


def moved(sounds: Path, to: Path) -> None:
    shutil.copytree(sounds, to)


def linked(sounds: Path, to: Path) -> None:
    to.symlink_to(sounds, target_is_directory=True)


def renamed_and_encoded(sounds: Path, to: Path) -> None:
    """Every clip as Vorbis at another rate and level, each in a recording of its own, under another name."""
    for number, clip in enumerate(sorted(sounds.rglob("*.wav"))):
        samples, _ = soundfile.read(clip, dtype="float32")
        folder = to / clip.parts[len(sounds.parts)] / f"somewhere{number}"
        folder.mkdir(parents=True)
        louder = 1.5 * soxr.resample(samples, RATE, 44_100)
        soundfile.write(folder / "x.ogg", louder, 44_100, format="OGG", subtype="VORBIS")


@pytest.mark.parametrize("copied", [moved, linked, renamed_and_encoded])
def test_a_copy_of_what_was_trained_on_is_never_scored(
    copied: Callable[[Path, Path], None],
    sounds: Path,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    record = load_finetuned(checkpoint)[3]
    copied(sounds, tmp_path / "elsewhere")
    capsys.readouterr()
    report = tmp_path / "report"
    assert call("trainer.evaluate", evaluate, checkpoint, tmp_path / "elsewhere", "--out", report) == 0
    said = capsys.readouterr().err
    left_out = f"{record['trained_on_clips']} trained on, {record['validated_on_clips']} used for choosing"
    assert f"test: {36 - record['clips']} of 36 clips left out, which it knows: {left_out}" in said
    assert "cannot be known" not in said
    result = json.loads((report / "results.json").read_text())["parts"]["test"]
    assert result["clips"] == record["clips"]
    assert sum(result["left_out"].values()) == 36 - record["clips"]
    assert result["warnings"][0].startswith("test is tiny: 3 of 3 classes")
    assert "test is tiny" in (report / "report.html").read_text()


def test_what_was_all_trained_on_is_refused_and_what_is_new_is_all_scored(
    sounds: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tested = {row.split(",")[0] for row in (checkpoint.parent / "test.csv").read_text().splitlines()[1:]}
    for clip in sounds.rglob("*.wav"):
        if str(clip.resolve()) not in tested:
            file = tmp_path / "known" / clip.relative_to(sounds)
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(clip, file)
    assert call("trainer.evaluate", evaluate, checkpoint, tmp_path / "known") == 2
    assert "known: nothing to test on (" in capsys.readouterr().err
    for name, frequency in (("Kettle", 2333), ("Drill", 271)):
        (tmp_path / "new" / name).mkdir(parents=True)
        soundfile.write(tmp_path / "new" / name / "0.wav", tones((0, 0.3), (frequency, 0.7)), RATE)
    assert call("trainer.evaluate", evaluate, checkpoint, tmp_path / "new", "--json") == 0
    assert json.loads(capsys.readouterr().out)["parts"]["all"]["clips"] == 2


def test_what_the_weights_to_begin_with_were_trained_on_is_not_tested_on_either(
    sounds: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--out", tmp_path / "out", "--initial", checkpoint, *QUICK, "--set", "frames=48", "--seed", "1"]
    assert call("trainer.finetune", main, "folder", "--data", sounds, *words) == 0
    assert "trained on" in capsys.readouterr().err
    first, second = (load_finetuned(path)[3] for path in (checkpoint, tmp_path / "out" / "test.pt"))
    both = set(first["tested_on"]) & set(second.get("tested_on", ()))
    assert set(second.get("tested_on", ())) == both  # nothing that the first run was trained on
    assert sum(second["left_out"].values()) > 0


def test_a_checkpoint_that_does_not_say_what_it_heard_is_said_not_to(
    sounds: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = load_checkpoint(checkpoint, FINETUNED)
    del content["report"]["heard"]
    save_checkpoint(tmp_path / "old.pt", FINETUNED, content)
    moved(sounds, tmp_path / "elsewhere")
    assert call("trainer.evaluate", evaluate, tmp_path / "old.pt", tmp_path / "elsewhere", "--json") == 0
    told = capsys.readouterr()
    assert "old.pt: does not say what it was trained on" in told.err
    assert "cannot be known" in json.loads(told.out)["parts"]["all"]["warnings"][0]


def test_a_copy_in_another_recording_is_not_tested_on_and_a_single_recording_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, frequency in (("Kettle", 2500), ("Drill", 200)):
        for recording in range(8):
            folder = tmp_path / "sounds" / name / f"recording{recording}"
            folder.mkdir(parents=True)
            # One and the same Kettle, whoever may have put it into eight folders.
            clip = tones((0, 0.3), (frequency + 20 * recording * (name == "Drill"), 0.7))
            soundfile.write(folder / "0.wav", clip, RATE)
    (tmp_path / "sounds" / "Gong" / "once").mkdir(parents=True)
    soundfile.write(tmp_path / "sounds" / "Gong" / "once" / "0.wav", tones((700, 0.9)), RATE)
    words = ["folder", "--data", tmp_path / "sounds", "--out", tmp_path / "out", *WINDOWS]
    assert call("trainer.finetune", main, *words) == 0
    said = capsys.readouterr().err
    assert "warning: one recording only: Gong; it can be trained on or tested on, not both" in said
    assert re.search(r"warning: test: \d+ of \d+ clips left out, which it knows: \d+ trained on", said)
    record = json.loads((tmp_path / "out" / "results.json").read_text())["runs"]["test"]["0"]
    assert "Kettle" not in (tmp_path / "out" / "test.csv").read_text()
    assert record["few_tested"]["Kettle"] == record["few_tested"]["Gong"] == 0


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
