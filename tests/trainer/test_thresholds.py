"""`trainer.thresholds` takes every checkpoint with labels: fine-tuned or distilled, over windows or a stream, old."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.detect.chunker import Decision
from asit_edge.model.bundle import load_bundle
from export.bundle import main as export_bundle
from tests.conftest import RATE, tones
from tests.trainer.commands import call
from tests.trainer.test_compatibility import unpacked
from trainer.data.recording import Recording
from trainer.data.scenes import Targets
from trainer.distillation.pool import POOL, SCENES, files_of
from trainer.distillation.validation import by_steps
from trainer.evaluation.content import found_in, sketches
from trainer.evaluation.detection import track
from trainer.evaluation.heard import heard_by
from trainer.evaluation.scoring import event_settings, open_model
from trainer.finetune import main as finetune
from trainer.finetuning.checkpoint import FINETUNED, load_finetuned
from trainer.run.checkpoint import load_checkpoint, save_checkpoint
from trainer.students.config import CNN, DistillConfig
from trainer.students.student import STUDENT, new_student
from trainer.thresholds import main

STEPS, STEP_SAMPLES = 12, 2560
"""Of a scene: time steps, and samples of one."""


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of noise in which Dog is said to sound now and then; Cat is asked for too, Rain is not."""
    return pool_of(tmp_path_factory.mktemp("pool"), ["Cat", "Dog"])


def pool_of(folder: Path, labels: list[str]) -> Path:
    rng = np.random.default_rng(0)
    audio, targets = files_of(folder, 0)
    (folder / POOL).write_text(json.dumps({"labels": labels, "part": "validation"}))
    np.save(audio, rng.integers(-3000, 3000, (SCENES, STEPS * STEP_SAMPLES), np.int16))
    said: Targets = np.zeros((SCENES, STEPS, len(labels)), np.float16)
    said[::4, 3:6, -1] = 1
    np.save(targets, said)
    return folder


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sounds")
    for name, frequency in (("Dog", 2500), ("Rain", 200), ("_other", 800)):
        for recording in range(6):
            folder = root / name / f"recording{recording}"
            folder.mkdir(parents=True)
            soundfile.write(folder / "0.wav", tones((0, 0.3), (frequency + 20 * recording, 0.7)), RATE)
    return root


@pytest.fixture(scope="module")
def checkpoint(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    words = ["--steps", "4", "--batch", "4", "--size", "nano", "--set", "frames=48", "--set", "evaluations=1"]
    assert call("trainer.finetune", finetune, "folder", "--data", sounds, "--out", out, *words) == 0
    return out / "test.pt"


def cnn(folder: Path) -> Path:
    """The checkpoint of a CNN baseline of Dog and Rain that has learnt nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    config = DistillConfig(size=CNN)
    torch.manual_seed(0)
    content = {"config": config.plain(), "labels": ["Dog", "Rain"], "model": new_student(config, 2).state_dict()}
    save_checkpoint(folder / "cnn.pt", STUDENT, {**content, "step": 3})
    return folder / "cnn.pt"


def facts_of(*arguments: str | Path, out: Path) -> dict[str, Any]:
    assert call("trainer.thresholds", main, *arguments, "--out", out, "--threads", "1") == 0
    return yaml.safe_load(out.read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", ["window", "whole", "stream", "student", "cnn"])
def test_scenes_judge_every_kind_of_checkpoint(
    kind: str, pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = cnn(tmp_path) if kind == "cnn" else unpacked(f"{kind}.pt", tmp_path)
    facts = facts_of(file, "--scenes", pool, "--most", "8", out=tmp_path / "facts.yaml")
    assert facts["labels"] == ["Dog"]
    assert "1 of 2 labels left out, which the scenes do not know: Rain" in capsys.readouterr().err
    on, off = facts["thresholds"]["Dog"]
    assert 0.2 <= on <= 0.95
    assert off < on
    assert facts["quality"]["Dog"]["quality"]["sounds"] == 2
    assert f"{8 * STEPS * 0.16 / 3600:.1f} h of scenes" in facts["metrics"]["quality_of_labels"]


@pytest.mark.parametrize("kind", ["window", "whole", "stream"])
def test_recordings_judge_every_fine_tuned_checkpoint_also_old_ones(
    kind: str, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = unpacked(f"{kind}.pt", tmp_path)
    facts = facts_of(file, "--data", sounds, out=tmp_path / "facts.yaml")
    assert facts["thresholds"].keys() == {"Dog", "Rain"}
    assert facts["metrics"] == {"thresholds_from": f"18 recordings of {sounds.name}"}
    said = capsys.readouterr().err
    assert f"{kind}.pt: does not say what it was trained on" in said
    assert "thresholds are guesses where they rest on little: " in said


def test_the_recordings_of_a_run_give_its_own_thresholds_and_those_go_into_the_bundle(
    sounds: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it was trained or tested on takes no part: what is left is what the run itself has chosen by."""
    record = load_finetuned(checkpoint)[3]
    facts = facts_of(checkpoint, "--data", sounds, out=tmp_path / "facts.yaml")
    assert facts["thresholds"] == record["thresholds"]
    said = capsys.readouterr().err
    left_out = f"{record['trained_on_clips']} trained on, {record['clips']} tested on"
    assert f"{18 - record['validated_on_clips']} of 18 clips left out, which it knows: {left_out}" in said
    assert "cannot be known" not in said
    facts["thresholds"]["Dog"] = [0.77, 0.44]
    (tmp_path / "facts.yaml").write_text(yaml.safe_dump(facts))
    words = [checkpoint, tmp_path / "bundle", "--facts", tmp_path / "facts.yaml"]
    assert call("export.bundle", export_bundle, *words, "--golden-tries", "64") == 0
    manifest = load_bundle(tmp_path / "bundle").manifest
    assert {label.name: label.on_threshold for label in manifest.labels}["Dog"] == 0.77
    assert manifest.metrics["thresholds_from"] == facts["metrics"]["thresholds_from"]


def test_what_cannot_be_judged_is_said_in_one_line(
    pool: Path, sounds: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    save_checkpoint(tmp_path / "last.pt", "pretraining", {"model": {}})
    torch.save({"model": {}}, tmp_path / "theirs.pt")
    (tmp_path / "others").mkdir()
    others = pool_of(tmp_path / "others", ["Cat"])
    (tmp_path / "zoo" / "Cat").mkdir(parents=True)
    soundfile.write(tmp_path / "zoo" / "Cat" / "0.wav", tones((900, 0.5)), RATE)
    (tmp_path / "one" / "Dog").mkdir(parents=True)
    soundfile.write(tmp_path / "one" / "Dog" / "0.wav", tones((2222, 0.5)), RATE)
    for code, arguments, message in (
        (2, [checkpoint], "either --scenes POOL, or --data DIR"),
        (2, [checkpoint, "--scenes", pool, "--data", sounds], "either --scenes POOL, or --data DIR"),
        (2, [tmp_path / "last.pt", "--data", sounds], "knows no labels; fine-tune it with trainer.finetune"),
        (1, [tmp_path / "theirs.pt", "--data", sounds], "not an asit-edge checkpoint"),
        (2, [tmp_path / "none.pt", "--data", sounds], "no such checkpoint"),
        (2, [tmp_path, "--data", sounds], "is a folder; thresholds are chosen for a checkpoint"),
        (2, [checkpoint, "--scenes", others], "has none of the labels of"),
        (2, [checkpoint, "--data", tmp_path / "zoo"], "has no label 'Cat', which zoo needs"),
        (2, [checkpoint, "--data", tmp_path / "one"], "no class is in some of the 1 clips and not in the others"),
        (2, [checkpoint, "--data", sounds, "--teacher", "x.pt"], "leave out --teacher, --labels and --least"),
    ):
        assert call("trainer.thresholds", main, *arguments, "--out", tmp_path / "facts.yaml") == code, message
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
        assert not (tmp_path / "facts.yaml").exists()
    nowhere = tmp_path / "nowhere" / "facts.yaml"
    assert call("trainer.thresholds", main, checkpoint, "--data", sounds, "--out", nowhere) == 2
    assert "cannot be written (No such file or directory)" in capsys.readouterr().err


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8))
def test_a_decision_stands_for_the_steps_that_it_is_of(lengths: list[int]) -> None:
    """Decisions of whole steps, one after the other; after the last one its score stays."""
    edges = np.cumsum([0, *lengths]) * STEP_SAMPLES
    made = [Decision(int(start), int(end), np.float32([place])) for place, (start, end) in enumerate(pairwise(edges))]
    expected = [place for place, length in enumerate(lengths) for _ in range(length)]
    steps = by_steps(made, len(expected) + 2, STEP_SAMPLES)[:, 0].tolist()
    assert steps == [*expected, expected[-1], expected[-1]]


def test_hours_in_which_nothing_should_alarm_raise_thresholds_until_nothing_does(
    checkpoint: Path, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = load_checkpoint(checkpoint, FINETUNED)
    content["report"]["thresholds"] = {"Dog": [0.01, 0.006], "Rain": [0.99, 0.6]}
    save_checkpoint(tmp_path / "eager.pt", FINETUNED, {**content})
    hours = tmp_path / "hours"
    hours.mkdir()
    evening = (0.1 * np.random.default_rng(0).standard_normal(20 * RATE)).astype(np.float32)
    soundfile.write(hours / "evening.wav", evening, RATE)
    soundfile.write(hours / "known.wav", *soundfile.read(sounds / "Dog" / trained_on(checkpoint, sounds) / "0.wav"))
    words = [tmp_path / "eager.pt", "--ambience", hours, "--alarms-per-day", "1"]
    facts = facts_of(*words, out=tmp_path / "facts.yaml")
    said = capsys.readouterr()
    (on, off), rain = facts["thresholds"]["Dog"], facts["thresholds"]["Rain"]
    assert 0.01 < on < 0.999
    assert 0.006 < off < on
    assert rain == [0.99, 0.6]  # nothing came of it: as it was
    assert f"Dog: 0.01 -> {on:g}, " in said.out
    assert "to know of 1 a day takes 72 h" in said.out
    assert "1 recordings left out" in said.err
    model = open_model(tmp_path / "eager.pt")
    line = model.timeline(evening)
    assert track(line, model.classes, RATE)
    assert not track(line, event_settings([(on, off), (0.99, 0.6)], RATE), RATE)


def trained_on(checkpoint: Path, sounds: Path) -> str:
    """The folder of a Dog that the checkpoint has learnt from."""
    tested = (checkpoint.parent / "test.csv").read_text()
    heard = heard_by(load_finetuned(checkpoint)[3])
    assert heard is not None
    for folder in sorted((sounds / "Dog").iterdir()):
        if folder.name not in tested and found_in(sketches([Recording(folder / "0.wav")]), heard.training).all():
            return folder.name
    raise AssertionError("it has learnt from none")


@pytest.mark.parametrize("place", ["none", "empty"])
def test_ambience_that_is_not_there_is_named(
    place: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    words = [checkpoint, "--ambience", tmp_path / place, "--out", tmp_path / "facts.yaml"]
    assert call("trainer.thresholds", main, *words) == 2
    assert f"--ambience {tmp_path / place}: no audio there" in capsys.readouterr().err
