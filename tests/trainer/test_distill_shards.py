"""Distillation as it scales: clips of shards, live teachers on the device, several processes of one run (gloo)."""

import json
import socket
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch._dynamo  # here, once, and not in every process

from asit_edge.errors import AsitEdgeError, WrongUse
from tests.trainer.audioset import damage, make_audioset, make_shards
from tests.trainer.commands import Forked, call
from trainer.data.decode import ShardedWaveforms, load_waveforms, to_samples
from trainer.data.layouts.collections import read_recordings
from trainer.data.scenes import SceneConfig
from trainer.distill import main as distill
from trainer.distillation.run import distil
from trainer.distillation.training import Manner
from trainer.models.mobilenet import MobileNet
from trainer.models.streaming_vit import SIZES
from trainer.run.checkpoint import load_checkpoint
from trainer.run.ranks.distributed import joined_processes
from trainer.students.config import DistillConfig
from trainer.students.student import STUDENT
from trainer.teachers.assignment import read_assigned, says
from trainer.teachers.live import LiveTeacher, LiveTeachers

RATE = 16_000


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty clips of AudioSet's form in shards, two of them damaged."""
    folder = make_shards(make_audioset(tmp_path_factory.mktemp("audioset")), tmp_path_factory.mktemp("shards"))
    damage(folder / "balanced_train_segments", {7, 31})
    return folder / "balanced_train_segments"


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two that know nothing, each in its own way."""
    folder, made = tmp_path_factory.mktemp("teachers"), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        made.append(folder / f"mn02-{seed}.pt")
        torch.save(MobileNet(0.2, 527).state_dict(), made[-1])
    return made


def learn(out: Path, sounds: Path, teacher: Path) -> None:
    """A short run as a process of torchrun's has it; without dropped paths, which are each process's own."""
    config = DistillConfig(
        size="nano",
        model=asdict(replace(SIZES["nano"], drop_path=0.0)),
        steps=3,
        batch=4,
        learning_rate=1e-4,
        warmup=1,
        optimiser="adamw",
        live=[str(teacher)],
        scenes=SceneConfig(steps=8, most=3),
    )
    torch.set_num_threads(1)
    with joined_processes() as processes:
        distil(out, read_recordings(sounds), [], config, Manner(1, workers=0, processes=processes))


def learnt(
    out: Path, sounds: Path, teacher: Path, ranks: int
) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    """The journal and the weights of so many processes."""
    out.parent.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = []
    for rank in range(ranks):
        place = {"RANK": str(rank), "WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        said = out.parent / f"{rank}.said"
        running.append(Forked(said, "learn", learn, out, sounds, teacher, environment=place))
    done = [process.wait() for process in running]
    assert [code for code, _ in done] == [0] * ranks, done
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return lines, load_checkpoint(out / "student.pt", STUDENT)["raw"]


def test_two_processes_learn_from_shards_what_one_does(sounds: Path, teachers: list[Path], tmp_path: Path) -> None:
    lines, weights = learnt(tmp_path / "one" / "run", sounds, teachers[0], 1)
    theirs, same = learnt(tmp_path / "two" / "run", sounds, teachers[0], 2)
    assert [line["step"] for line in lines] == [line["step"] for line in theirs] == [1, 2, 3]
    for one, two in zip(lines, theirs, strict=True):
        assert two["loss/total"] == pytest.approx(one["loss/total"], rel=1e-5)
    assert max(float((weights[name] - same[name]).abs().max()) for name in weights) < 2e-5
    said = (tmp_path / "two" / "0.said").read_text()
    assert "37 recordings to train on (0.0 h), 3 to validate, 2 labels" in said
    assert "t0000000019): cannot be read as audio" in said, "a damaged clip is named"
    assert not any(file.stat().st_size for file in (tmp_path / "one" / "waveforms").glob("*.s16"))


def test_clips_of_shards_are_read_where_they_lie_and_damaged_ones_raise(sounds: Path, tmp_path: Path) -> None:
    recordings = read_recordings(sounds)
    assert {label for one in recordings for label in one.labels} == {"Dog", "Rain"}
    waveforms = load_waveforms(recordings, RATE, tmp_path)
    assert isinstance(waveforms, ShardedWaveforms)
    assert len(waveforms[0]) == waveforms.lengths[0] == round((recordings[0].seconds or 0) * RATE)
    assert 0.05 < np.abs(to_samples(waveforms[0])).max() < 1
    for index, one in enumerate(recordings):
        if "t0000000019" in one.name:
            with pytest.raises(AsitEdgeError, match="t0000000019.*cannot be read as audio"):
                _ = waveforms[index]


def test_several_live_teachers_have_their_geometric_mean_or_one_alone_the_say(
    teachers: list[Path], tmp_path: Path
) -> None:
    labels = ["Dog", "Rain", "Siren"]
    waveforms = 0.1 * torch.randn(2, 12 * 2560)
    alone = [LiveTeacher(file, labels, RATE)(waveforms) for file in teachers]
    both = LiveTeachers(teachers, labels, RATE, {})(waveforms)
    assert torch.allclose(both, (alone[0] * alone[1]).sqrt(), atol=1e-5)
    (tmp_path / "assign.yaml").write_text("Rain: mn02-1.pt\nSmoke detector, smoke alarm: nobody.pt\n")
    assigned = read_assigned(tmp_path / "assign.yaml")
    chosen = LiveTeachers(teachers, labels, RATE, assigned)(waveforms)
    assert torch.allclose(chosen[..., 1], alone[1][..., 1], atol=1e-6)
    assert torch.equal(chosen[..., [0, 2]], both[..., [0, 2]])
    with pytest.raises(WrongUse, match="--assign: Dog: no teacher is named mn02-2.pt .did you mean"):
        LiveTeachers(teachers, labels, RATE, {"Dog": "mn02-2.pt"})


def test_who_does_not_know_a_label_has_no_say_in_it() -> None:
    known: list[Any] = [["Dog", "Rain"], ["Dog"]]
    assert says(["a", "b"], known, ["Dog", "Rain", "Cat"], {}).tolist() == [[1, 1, 0], [1, 0, 0]]
    assert says(["a", "b"], known, ["Dog", "Rain"], {"Dog": "b"}).tolist() == [[0, 1], [1, 0]]
    with pytest.raises(WrongUse, match="--assign: Rain: b does not know it"):
        says(["a", "b"], known, ["Dog", "Rain"], {"Rain": "b"})


def test_a_file_of_assignments_that_is_none_is_refused(
    sounds: Path, teachers: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("Dog: 3\n")
    assert call("trainer.distill", distill, tmp_path / "run", "--data", sounds, "--assign", wrong) == 2
    assert "wrong.yaml: Dog: 3: must be a label and the name of a teacher's file" in capsys.readouterr().err
