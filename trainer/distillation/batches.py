"""Scenes that a student learns from, in batches by number: mixed on the way, or taken from a pool.

A scene is made from the seed, the number of its batch and its place in it alone, so any number of worker processes, and
of processes that share a batch, gives the same ones. What is heard of them is made on the device
(`trainer.distillation.hearing`).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from trainer.data.scenes import SceneSampler
from trainer.distillation.pool import ScenePool
from trainer.run.ranks.sharing import Share
from trainer.students.config import DistillConfig

LOUDER_DB = 6.0
"""Scenes of a pool are played up to so many dB louder or fainter."""


class Scenes(NamedTuple):
    """Waveforms (B, samples) and targets of time steps (B, S, K) of a share of a batch; and by their numbers the
    recordings that could not be read, and why."""

    waveforms: Tensor
    targets: Tensor
    skipped: Mapping[int, str]


class MixedScenes(Dataset[Scenes]):
    """Item n is this process's share of the n-th batch."""

    def __init__(self, sampler: SceneSampler, config: DistillConfig, share: Share) -> None:
        self._sampler, self._config, self._share = sampler, config, share

    def __getitem__(self, number: int) -> Scenes:
        made = [
            self._sampler.scene(np.random.default_rng((self._config.seed, number, place)))
            for place in self._share.places
        ]
        skipped, self._sampler.skipped = self._sampler.skipped, {}
        return Scenes(*_stacked(made), skipped)


class PooledScenes(Dataset[Scenes]):
    """Item n is this process's share of the n-th batch of a seed."""

    def __init__(self, pool: ScenePool, config: DistillConfig, share: Share) -> None:
        self._pool, self._config, self._share = pool, config, share

    def __getitem__(self, number: int) -> Scenes:
        config, share = self._config, self._share
        chosen = self._pool.chosen(config.seed, [number * config.batch + place for place in share.places])
        rng = np.random.default_rng((config.seed, number))
        louder = 10 ** (rng.uniform(-LOUDER_DB, LOUDER_DB, (config.batch, 1)) / 20)[share.rows]
        waveforms, targets = _stacked([self._pool.scene(one) for one in chosen])
        return Scenes((waveforms * torch.from_numpy(louder)).clamp(-1, 1).float(), targets, {})


def _stacked(made: Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]) -> tuple[Tensor, Tensor]:
    waveforms, targets = (torch.from_numpy(np.stack(part)) for part in zip(*made, strict=True))
    return waveforms, targets
