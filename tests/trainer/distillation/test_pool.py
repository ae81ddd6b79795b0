"""A pool of scenes: made once, the same whoever makes it, and gone on with where it was stopped."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.data.decode import WaveformCache
from trainer.data.scenes import SceneConfig, SceneSampler, StoredTargets, Targets
from trainer.distillation.batches import PooledScenes
from trainer.distillation.pool import SCENES, files_of, open_pool, write_pool
from trainer.run.ranks.sharing import Share, whole
from trainer.students.config import DistillConfig

STEPS, LABELS = 6, ["Dog", "Rain"]
ABOUT = {"labels": LABELS, "seed": 0}


def sampler(tmp_path: Path) -> SceneSampler:
    file = tmp_path / "sounds.s16"
    rng = np.random.default_rng(0)
    (rng.standard_normal(32_000) * 4000).astype(np.int16).tofile(file)
    waveforms = WaveformCache(file, np.array([0, 16_000, 32_000]))
    targets = np.zeros((14, 2), np.float32)
    targets[:7, 0] = targets[7:, 1] = 0.95
    stored = StoredTargets(targets, np.array([0, 7, 14]))
    return SceneSampler(waveforms, [0, 1], np.ones(2), stored, 16_000, 2560, SceneConfig(steps=STEPS))


def said(waveform: Samples) -> Targets:
    return np.full((STEPS, 2), 0.25, np.float32)


def test_two_processes_and_one_that_is_stopped_make_the_pool_that_one_makes(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    write_pool(one, sampler(tmp_path), said, ABOUT, 3 * SCENES, 0)
    write_pool(other, sampler(tmp_path), said, ABOUT, 3 * SCENES, 0, (1, 2))
    with pytest.raises(WrongUse, match="first"):
        open_pool(other)  # its first file is not there yet
    write_pool(other, sampler(tmp_path), said, ABOUT, 3 * SCENES, 0, (0, 2))
    files_of(other, 2)[1].unlink()  # stopped between the two files
    write_pool(other, sampler(tmp_path), said, ABOUT, 3 * SCENES, 0)
    for shard in range(3):
        for a, b in zip(files_of(one, shard), files_of(other, shard), strict=True):
            assert a.read_bytes() == b.read_bytes()
    assert len(open_pool(one)) == 3 * SCENES


def test_what_a_person_said_stands_and_the_teachers_say_the_rest(tmp_path: Path) -> None:
    write_pool(tmp_path / "pool", sampler(tmp_path), said, ABOUT, 1, 0)
    pool = open_pool(tmp_path / "pool")
    waveform, targets = pool.scene(0)
    assert waveform.shape == (STEPS * 2560,)
    assert targets.shape == (STEPS, 2)
    assert targets.min() >= 0.24
    assert targets.max() > 0.9


def test_every_scene_comes_once_a_turn_and_a_run_that_goes_on_gets_what_it_would_have_got(tmp_path: Path) -> None:
    write_pool(tmp_path / "pool", sampler(tmp_path), said, ABOUT, 2 * SCENES, 0)
    pool = open_pool(tmp_path / "pool")
    first = pool.chosen(5, range(3 * len(pool)))
    assert sorted(first[: len(pool)]) == list(range(len(pool)))
    assert first[: len(pool)] != first[len(pool) : 2 * len(pool)]
    assert pool.chosen(5, range(len(pool) + 3, len(pool) + 23)) == first[len(pool) + 3 :][:20]
    config = DistillConfig(batch=4, seed=1, scenes=SceneConfig(steps=STEPS))
    begun, going_on = (PooledScenes(pool, config, whole(4)) for _ in range(2))
    before = [begun[number].waveforms for number in range(3)]
    assert torch.equal(before[2], going_on[2].waveforms)
    assert not torch.equal(before[1], before[2])
    halves = [PooledScenes(pool, config, Share(place, 2, 4))[2] for place in (0, 2)]
    assert torch.equal(torch.cat([half.waveforms for half in halves]), before[2])


def test_pools_of_something_else_or_damaged_ones_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "pool"
    with pytest.raises(WrongUse, match=r"trainer\.scenes"):
        open_pool(folder)
    write_pool(folder, sampler(tmp_path), said, ABOUT, 1, 0)
    with pytest.raises(WrongUse, match="something else"):
        write_pool(folder, sampler(tmp_path), said, {**ABOUT, "seed": 1}, 1, 1)
    (folder / "pool.json").write_text(json.dumps({"names": LABELS}), encoding="utf-8")
    with pytest.raises(AsitEdgeError, match="anew"):
        open_pool(folder)
