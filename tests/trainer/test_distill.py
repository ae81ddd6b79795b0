"""Distillation on a small data set of hums: teachers' windows become a student that hears them in time."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import soundfile
import torch

from asit_edge.errors import AsitEdgeError, WrongUse
from tests.trainer.commands import run
from trainer.data.decode import FULL_SCALE, decode, load_waveforms
from trainer.data.layouts.collections import read_recordings
from trainer.data.recording import Recording, Role
from trainer.data.scenes import SceneConfig
from trainer.distillation.material import BuiltMaterial, build_targets, choose_labels, sampling_weights
from trainer.distillation.run import distil
from trainer.distillation.training import Manner
from trainer.distillation.validation import validation_scores
from trainer.evaluation.scoring import open_model
from trainer.models.mobilenet import MobileNet
from trainer.models.streaming_vit import Stage, StreamConfig
from trainer.models.vit import ViT, vit_config
from trainer.run.cache import filling
from trainer.run.checkpoint import load_checkpoint
from trainer.students.config import DistillConfig
from trainer.students.student import STUDENT, begin_from, load_student, new_student
from trainer.teachers.stored_scores import TeacherScores, read_teacher_scores, write_teacher_scores

RATE = 16_000
SMALL = StreamConfig(stages=(Stage(32, 2, 2, 6),), stem=(8, 8, 16), activation="relu", drop_path=0.0)
LABELS = ["Dog", "Rain"]


def hum(frequency: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Forty partials over two octaves around a frequency."""
    time = np.arange(round(seconds * RATE)) / RATE
    partials = frequency * 2 ** rng.uniform(-1, 1, 40)
    return 0.01 * np.sin(2 * np.pi * partials[:, None] * time + rng.uniform(0, 6, (40, 1))).sum(axis=0)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A collection of low hums ("Rain") and high ones ("Dog"), a third unlabelled; a teacher that knows them all."""
    root = tmp_path_factory.mktemp("material") / "hums"
    (root / "audio").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows, windows, names = ["path,audioset_label,split_group,sharealike"], [], []
    for take in range(36):
        label = LABELS[take % 2]
        samples = np.zeros(3 * RATE, np.float32)
        samples[RATE // 2 : RATE // 2 + 2 * RATE] = hum(3_000 if label == "Dog" else 300, 2, rng)
        soundfile.write(root / "audio" / f"{take}.flac", samples, RATE)
        rows.append(f"{take}.flac,{label if take % 3 else ''},recording{take},{int(take == 35)}")
        names.append(f"hums/audio/{take}.flac")
        windows.append(np.tile(np.eye(2, dtype=np.float32)[take % 2] * 0.8, (3, 1)))
    (root / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    write_teacher_scores(root.parent / "teacher.npz", names, windows, LABELS, 2.0, 0.5)
    return root, root.parent / "teacher.npz"


def config(**changes: Any) -> DistillConfig:
    defaults: dict[str, Any] = {
        "model": asdict(SMALL),
        "steps": 90,
        "batch": 8,
        "warmup": 10,
        "learning_rate": 4e-3,
        "averaging": 0.9,
        "validation": 0.3,
        "scenes": SceneConfig(steps=20, most=2),
    }
    return DistillConfig(**{**defaults, **changes})


def test_a_student_learns_what_the_teacher_knows_and_when(material: tuple[Path, Path], tmp_path: Path) -> None:
    root, teacher = material
    recordings = [recording for recording in read_recordings(root) if not recording.sharealike]
    distil(tmp_path / "run", recordings, [teacher], config(), Manner(1000))
    model = open_model(tmp_path / "run" / "student.pt")
    assert [label.name for label in model.labels] == LABELS
    waveforms = load_waveforms(recordings[:3], RATE, tmp_path / "again")
    student = load_student(tmp_path / "run" / "student.pt")[0]
    for index, scores in enumerate(validation_scores(student, waveforms, range(3), model.spec)):
        decided = model.timeline(waveforms[index] / np.float32(FULL_SCALE)).scores
        assert np.abs(scores[: len(decided)] - decided).max() < 1e-4
    rng = np.random.default_rng(9)
    quiet = np.zeros(RATE, np.float32)
    for column, frequency in enumerate((3_000, 300)):
        line = model.timeline(np.concatenate((quiet, hum(frequency, 2, rng), quiet, quiet)).astype(np.float32))
        middles = (line.edges[:-1] + line.edges[1:]) / 2
        sounding = (middles > 1.5) & (middles < 3)
        assert line.scores[sounding, column].min() > 0.5, frequency
        assert line.scores[sounding, 1 - column].max() < 0.5, frequency
        assert line.scores[(middles < 0.9) | (middles > 4)].max() < 0.5, frequency


def test_a_run_that_was_killed_goes_on_as_if_it_had_not(material: tuple[Path, Path], tmp_path: Path) -> None:
    root, teacher = material
    recordings = read_recordings(root)
    dropping = asdict(replace(SMALL, drop_path=0.3))
    short = config(steps=4, batch=2, scenes=SceneConfig(steps=8, most=1), model=dropping)
    distil(tmp_path / "whole", recordings, [teacher], short, Manner(100))
    torch.manual_seed(99)
    rate_at = DistillConfig.rate_at
    # What a kill after the second step leaves behind: the checkpoint of that step.
    stopped = replace(short, steps=2)
    with mock.patch.object(DistillConfig, "rate_at", lambda _, step: rate_at(short, step)):
        distil(tmp_path / "resumed", recordings, [teacher], stopped, Manner(2))
    assert load_checkpoint(tmp_path / "resumed" / "student.pt", STUDENT)["step"] == 2
    distil(tmp_path / "resumed", recordings, [teacher], short, Manner(2))
    whole, resumed = (load_checkpoint(tmp_path / name / "student.pt", STUDENT) for name in ("whole", "resumed"))
    assert all(torch.equal(whole["raw"][key], resumed["raw"][key]) for key in whole["raw"])
    with pytest.raises(WrongUse, match="was begun with other data"):
        distil(tmp_path / "whole", [one for one in recordings if "Dog" in one.labels], [], short, Manner(2))
    for changes, told in (
        ({"optimiser": "adamw"}, "optimiser is muon there and adamw here"),
        ({"batch": 3, "seed": 1}, "batch is 2 there and 3 here, seed is 0 there and 1 here"),
        ({"scenes": SceneConfig(steps=8, most=2)}, "scenes.most is 1 there and 2 here"),
    ):
        with pytest.raises(WrongUse, match=told):
            distil(tmp_path / "whole", recordings, [teacher], replace(short, **changes), Manner(2))
    with pytest.raises(WrongUse, match="recordings, scenes or teachers differ"):
        distil(tmp_path / "whole", recordings[4:], [teacher], short, Manner(2))
    lines = [json.loads(line) for line in (tmp_path / "resumed" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    assert {"loss/total", "validation/top1"} <= set(lines[0])


def test_the_best_checkpoint_and_one_every_so_often_stay(material: tuple[Path, Path], tmp_path: Path) -> None:
    root, teacher = material
    short = config(steps=6, batch=2, scenes=SceneConfig(steps=8, most=1))
    judged = [{"top1": 0.3}, {"top1": 0.6}, {"top1": 0.5}]
    with mock.patch("trainer.distillation.run.mean_rank", side_effect=judged):
        distil(tmp_path / "run", read_recordings(root), [teacher], short, Manner(2, keep_every=4))
    kept = {file.name: load_checkpoint(file, STUDENT)["step"] for file in (tmp_path / "run" / "kept").iterdir()}
    assert kept == {"best.pt": 4, "step-0000004.pt": 4}


def test_one_every_so_often_stays_whatever_is_saved_beside_it(material: tuple[Path, Path], tmp_path: Path) -> None:
    root, teacher = material
    short = config(steps=6, batch=2, scenes=SceneConfig(steps=8, most=1))
    distil(tmp_path / "run", read_recordings(root), [teacher], short, Manner(4, keep_every=3))
    kept = {file.name: load_checkpoint(file, STUDENT)["step"] for file in (tmp_path / "run" / "kept").glob("step-*")}
    assert kept == {"step-0000003.pt": 3, "step-0000006.pt": 6}


def test_a_run_from_before_there_was_a_choice_took_adamw() -> None:
    plain = config().plain()
    del plain["optimiser"]
    plain["live"] = "mn04.pt"  # nor more than one live teacher
    before = DistillConfig.from_plain(plain)
    assert (before.optimiser, before.live) == ("adamw", ["mn04.pt"])


def test_adamw_learns_too(material: tuple[Path, Path], tmp_path: Path) -> None:
    root, teacher = material
    short = config(steps=2, batch=2, scenes=SceneConfig(steps=8, most=1), optimiser="adamw")
    before = new_student(short, 2)
    distil(tmp_path / "run", read_recordings(root), [teacher], short, Manner(100))
    saved = load_checkpoint(tmp_path / "run" / "student.pt", STUDENT)
    assert "param_groups" in saved["optimiser"]
    assert not torch.equal(saved["raw"]["frame_head.bias"], before.state_dict()["frame_head.bias"])


@pytest.mark.parametrize("kind", ["cnn", "features", "labels only"])
def test_other_ways_to_learn(material: tuple[Path, Path], tmp_path: Path, kind: str) -> None:
    root, teacher = material
    changes: dict[str, Any] = {"steps": 2, "batch": 2, "scenes": SceneConfig(steps=14, most=1)}
    if kind == "cnn":
        changes |= {"size": "cnn", "model": None}
    elif kind == "features":
        torch.save({"teacher": ViT(vit_config("nano", 224)).state_dict()}, tmp_path / "asit.pt")
        changes |= {"features": str(tmp_path / "asit.pt"), "features_size": "nano"}
    else:
        changes |= {"labels_only": True}
    distil(tmp_path / "run", read_recordings(root), [teacher], config(**changes), Manner(1))
    distil(tmp_path / "run", read_recordings(root), [teacher], config(**{**changes, "steps": 3}), Manner(1))
    model = open_model(tmp_path / "run" / "student.pt")
    assert model.timeline(np.zeros(RATE, np.float32)).scores.shape[1] == 2
    assert load_student(tmp_path / "run" / "student.pt")[3]["step"] == 3


def test_the_command_says_what_it_does_and_evaluation_reads_its_run(
    material: tuple[Path, Path], tmp_path: Path
) -> None:
    root, teacher = material
    arguments = [
        "--data",
        root,
        "--teacher",
        teacher,
        "--size",
        "nano",
        "--steps",
        "1",
        "--batch",
        "1",
        "--speed",
        "0.4",
        "--threads",
        "1",
    ]
    done = run("trainer.distill", tmp_path / "run", *arguments)
    assert done.returncode == 0, done.stderr
    assert load_student(tmp_path / "run" / "student.pt")[1].scenes.speed == 0.4
    assert "2 labels" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["step"] == 1
    evaluated = run("trainer.evaluate", tmp_path / "run" / "student.pt", root, "--json")
    assert evaluated.returncode == 0, evaluated.stderr
    assert "all" in json.loads(evaluated.stdout)["parts"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "nowhere: no such folder or table"),
        (
            ["--data", "{root}", "--size", "huge"],
            "--size huge: unknown; known are warm-tiny, warm-nano, nano, tiny and cnn",
        ),
        (["--data", "{root}", "--teacher", "none.npz"], "none.npz: no such file of teacher probabilities"),
        (["--data", "{root}", "--teacher", "none.pt"], "none.pt: no such teacher"),
    ],
)
def test_wrong_use_is_one_line(material: tuple[Path, Path], tmp_path: Path, arguments: list[str], message: str) -> None:
    done = run("trainer.distill", tmp_path / "run", *(part.format(root=material[0]) for part in arguments))
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("trainer.distill: error: ")


def test_labels_are_those_that_enough_recordings_have_by_a_person_or_a_teacher() -> None:
    recordings = [
        Recording(Path("x"), labels, f"group{number % 4}", name=str(number))
        for number, labels in enumerate([("Rain",), ("Rain",), ("Rain",), (), (), ()])
    ]
    index = np.zeros((6, 1), np.uint16)
    said = TeacherScores(
        [str(number) for number in range(6)],
        np.arange(7),
        index,
        np.float16([[0.9]] * 4 + [[0.2]] * 2),
        ["Dog"],
        2,
        0.5,
    )
    assert choose_labels(recordings, [said], least=3) == ["Dog", "Rain"]
    assert choose_labels(recordings, [], least=3) == ["Rain"]
    assert choose_labels(recordings, [said], least=4) == ["Dog"]


def test_two_teachers_are_averaged_and_a_label_is_put_on_top(material: tuple[Path, Path], tmp_path: Path) -> None:
    root, teacher = material
    recordings = read_recordings(root)[:2]
    waveforms = load_waveforms(recordings, RATE, tmp_path)
    silent = [np.zeros((3, 2), np.float32)] * 2
    write_teacher_scores(tmp_path / "other.npz", [one.name for one in recordings], silent, LABELS, 2.0, 0.5)
    teachers = [read_teacher_scores(file) for file in (teacher, tmp_path / "other.npz")]
    built = build_targets(recordings, [0, 1], waveforms, teachers, LABELS, config())
    unlabelled, labelled = built.targets[: built.starts[1]], built.targets[built.starts[1] :]
    assert unlabelled[:, 0].max() == pytest.approx(0.4, abs=1e-3)
    assert labelled[6, 1] == pytest.approx(0.95)
    assert labelled[0, 1] == pytest.approx(0.4, abs=1e-3)
    assert sampling_weights(built).shape == (2,)
    again = load_waveforms(recordings, RATE, tmp_path)
    assert np.abs(again[1] / 32767 - decode(recordings[1].path, RATE)).max() < 1e-4


def test_runs_that_begin_together_decode_the_recordings_once(
    material: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recordings = read_recordings(material[0])[:2]
    with ThreadPoolExecutor(2) as pool:
        with filling(tmp_path):
            runs = [pool.submit(load_waveforms, recordings, RATE, tmp_path) for _ in range(2)]
            time.sleep(0.3)
            assert [file.name for file in tmp_path.iterdir()] == [".lock"]
        first, second = (run.result() for run in runs)
    assert np.array_equal(first[1], second[1])
    assert sorted(file.suffix for file in tmp_path.iterdir()) == ["", ".npy", ".s16"]
    assert "another run is filling it" in capsys.readouterr().err
    with filling(tmp_path):  # what is there is read without waiting
        assert np.array_equal(load_waveforms(recordings, RATE, tmp_path)[1], first[1])


def drawn(
    labels: list[tuple[str, ...]], steps: list[int], focus: list[str], folders: list[str] | None = None
) -> list[float]:
    names = [f"{(folders or [''] * len(labels))[row]}{row}" for row in range(len(labels))]
    recordings = [Recording(Path("x"), label, name, name=name) for name, label in zip(names, labels, strict=True)]
    starts = np.concatenate(([0], np.cumsum(steps)))
    material = BuiltMaterial(np.zeros((int(starts[-1]), 1), np.float32), starts, recordings)
    return list(sampling_weights(material, focus))


def test_labels_are_drawn_by_the_root_of_their_length_and_those_that_matter_more_often() -> None:
    # 50 steps are 8 s: Rain has four such recordings, Dog one, Piano one, and one has no label.
    labels: list[tuple[str, ...]] = [("Rain",)] * 4 + [("Dog",), ("Piano",), ()]
    weights = drawn(labels, [50] * 7, [])
    once = 8.0**0.5
    assert sum(weights[:4]) == pytest.approx(2 * once)
    assert weights[4:] == pytest.approx([once, once, 40.0])
    assert drawn(labels, [50] * 7, ["Rain", "Dog"])[4:] == pytest.approx([once, once / 4, 40.0])
    # Of one label a recording is drawn by the root of its length too; a shorter one counts as 5 s.
    short, long = drawn([("Dog",), ("Dog",)], [15, 60], [])
    assert long == pytest.approx((9.6 / 5.0) ** 0.5 * short)
    # Another collection's recordings of it, however few, count for themselves.
    cries: list[tuple[str, ...]] = [("Dog",)] * 5
    apart = drawn(cries, [50] * 5, [], ["a/", "a/", "a/", "a/", "b/"])
    assert sum(apart[:4]) == pytest.approx(2 * once)
    assert apart[4] == pytest.approx(once)
    # What a label implies may be what matters.
    assert drawn([("Bark",)], [50], ["Dog"]) == pytest.approx([once])


def test_a_student_begins_from_an_earlier_one_by_the_names_of_its_labels(
    material: tuple[Path, Path], tmp_path: Path
) -> None:
    root, teacher = material
    small = config(steps=1, batch=1, scenes=SceneConfig(steps=8, most=1))
    distil(tmp_path / "run", read_recordings(root), [teacher], small, Manner(1))
    checkpoint = tmp_path / "run" / "student.pt"
    earlier, _, known, _ = load_student(checkpoint)
    names = [label.name for label in known]
    model = new_student(small, len(names) + 1)
    begin_from(checkpoint, model, ["Siren", *reversed(names)])
    theirs, ours = earlier.state_dict(), model.state_dict()
    assert torch.equal(ours["frame_head.weight"][1:].flip(0), theirs["frame_head.weight"])
    assert ours["frame_head.bias"][0] == -4
    body = [key for key in theirs if not key.startswith(("frame_head.", "chunk_head."))]
    assert body
    assert all(torch.equal(ours[key], theirs[key]) for key in body)
    with pytest.raises(WrongUse, match="another size"):
        begin_from(checkpoint, new_student(DistillConfig(size="nano"), 2), names)


def test_with_a_live_teacher_only_what_is_certain_is_laid_down_beforehand(
    material: tuple[Path, Path], tmp_path: Path
) -> None:
    root, teacher = material
    torch.manual_seed(0)
    torch.save(MobileNet(0.2, 527).state_dict(), tmp_path / "mn02.pt")
    live = config(live=[str(tmp_path / "mn02.pt")], steps=1, batch=1, scenes=SceneConfig(steps=8, most=1))
    recordings = read_recordings(root)[:2]
    waveforms = load_waveforms(recordings, RATE, tmp_path)
    built = build_targets(recordings, [0, 1], waveforms, [read_teacher_scores(teacher)], LABELS, live)
    assert set(np.unique(built.targets)) == {np.float32(0), np.float32(0.95)}
    distil(tmp_path / "run", read_recordings(root), [teacher], live, Manner(1))
    assert load_student(tmp_path / "run" / "student.pt")[1].live == live.live


def test_recordings_know_their_split_their_licence_and_room_responses(material: tuple[Path, Path]) -> None:
    recordings = read_recordings(material[0])
    assert [one.sharealike for one in recordings].count(True) == 1
    assert recordings[4].group == "hums/recording4"
    assert recordings[0].role is Role.SOUND
    with pytest.raises(WrongUse, match="no such folder"):
        read_recordings(Path("nowhere"))


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    run_config = config(steps=100, warmup=10, learning_rate=1.0)
    rates = [run_config.rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == pytest.approx(1.0)
    assert rates[-1] < 1e-2


def test_a_loss_that_is_no_number_stops_the_run(material: tuple[Path, Path], tmp_path: Path) -> None:
    root, teacher = material
    broken = config(learning_rate=1e30, steps=9, warmup=1, batch=2, scenes=SceneConfig(steps=8, most=1))
    with pytest.raises(AsitEdgeError, match=r"the loss is .* try a lower learning rate"):
        distil(tmp_path / "run", read_recordings(root), [teacher], broken, Manner(100))
