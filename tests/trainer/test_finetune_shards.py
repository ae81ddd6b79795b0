"""Fine-tuning from the shards of trainer.prepare, damaged ones among them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from asit_edge.errors import AsitEdgeError, WrongUse
from tests.trainer.audioset import RATE, damage, make_audioset, make_shards
from tests.trainer.commands import call
from trainer.data.clips.batches import WholeClips
from trainer.data.decode import LazyClips
from trainer.data.layouts.audioset import read_20k
from trainer.data.shards.index import INDEX
from trainer.finetune import main as finetune


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_audioset(tmp_path_factory.mktemp("audioset"))


@pytest.fixture(scope="module")
def shards(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(published, tmp_path_factory.mktemp("shards"))


SMALL = ["--size", "nano", "--epochs", "1", "--batch", "8", "--set", "frames=96", "--set", "workers=0"]


def test_shards_give_the_clips_of_the_published_files(published: Path, shards: Path) -> None:
    files, indexed = read_20k(published), read_20k(shards)
    assert indexed.categories == files.categories
    theirs = {one.name: index for index, one in enumerate(files.recordings)}
    assert sorted(theirs) == sorted(one.name for one in indexed.recordings)
    clips, ours = LazyClips(files.recordings, RATE), LazyClips(indexed.recordings, RATE)
    for index, one in enumerate(indexed.recordings):
        there = files.recordings[theirs[one.name]]
        assert (one.labels, one.part, one.group) == (there.labels, there.part, there.group)
        assert np.abs(ours[index] - clips[theirs[one.name]]).max() < 1e-4


def test_a_twentieth_of_the_clips_damaged_is_stood_in_for_or_left_out_and_named(shards: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(shards, tmp_path / "damaged"))
    names = damage(damaged / "balanced_train_segments", {7, 31})  # a twentieth of the clips
    (tested,) = damage(damaged / "eval_segments", {3})
    out = tmp_path / "out"
    code = call(
        "trainer.finetune", finetune, "audioset-20k", "--data", damaged, "--out", out, *SMALL,
        "--set", "validation=0.3", "--set", "evaluations=1",
    )  # fmt: skip
    assert code == 0
    results = json.loads((out / "results.json").read_text())
    (name,) = results["skipped"]
    assert tested in name
    (run,) = results["runs"]["test"].values()
    assert run["clips"] == 7
    assert len(run["skipped"]) == 2
    assert {name for name in names if any(name in shown for shown in run["skipped"])} == names
    assert not list(out.glob("*.running.pt")), "a run that has ended keeps nothing to go on"


def test_two_processes_that_read_give_the_same_batches(shards: Path) -> None:
    dataset = read_20k(shards)
    clips = LazyClips(dataset.recordings, RATE)
    made = WholeClips(clips, dataset.targets, RATE, 4, 3, 0.5, seed=0)
    again = WholeClips(clips, dataset.targets, RATE, 4, 3, 0.5, seed=0)
    assert all(np.array_equal(made[step].waveforms, again[step].waveforms) for step in (2, 0, 1))


def test_a_shard_that_is_missing_or_has_no_index_is_an_error_at_the_start(shards: Path, tmp_path: Path) -> None:
    cut = Path(shutil.copytree(shards, tmp_path / "cut"))
    (cut / "eval_segments" / "shard-000000.tar").unlink()
    with pytest.raises(WrongUse, match=r"shard-000000\.tar is missing"):
        read_20k(cut)
    (cut / "balanced_train_segments" / INDEX).unlink()
    with pytest.raises(WrongUse, match=r"has no index\.npz; make one with python -m trainer\.shards"):
        read_20k(cut)


def test_all_clips_damaged_stops() -> None:
    clips = [np.full(10, np.nan, np.float32)] * 3
    with pytest.raises(AsitEdgeError, match="clip 2: it and the clips after it cannot be learnt from"):
        WholeClips(clips, np.eye(3, dtype=np.float32), 10, 1, 3, 0.0, seed=2)[0]
