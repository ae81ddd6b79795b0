"""Batches of scenes that a student learns from: mixed on the way, or taken from a pool."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from asit_edge.audio.samples import Samples
from trainer.data.augment import equalise, spec_augment
from trainer.data.features import BatchedLogMel
from trainer.data.scenes import SceneSampler
from trainer.distillation.pool import ScenePool
from trainer.students.config import DistillConfig
from trainer.teachers.frame_targets import heard_lately
from trainer.teachers.live import LiveTeacher

LOUDER_DB = 6.0
"""Scenes of a pool are played up to so many dB louder or fainter."""


class Batch(NamedTuple):
    """Log-mel (B, frames, mels), masked; targets of time steps (B, S, K) and of what was `lately` heard at each one;
    the log-mel before masks, empty where nobody asks for it."""

    log_mel: Tensor
    targets: Tensor
    lately: Tensor
    unmasked: Tensor


class MixedScenes(IterableDataset[Batch]):
    """Batches of scenes from batch number `first` on; the n-th is always the same."""

    def __init__(self, sampler: SceneSampler, config: DistillConfig, first: int, labels: Sequence[str] = ()) -> None:
        self._sampler, self._config, self._first = sampler, config, first
        self._live = LiveTeacher(Path(config.live), labels, config.spec.sample_rate) if config.live else None
        self._features = BatchedLogMel(config.spec)

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        worker = torch.utils.data.get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in itertools.count(self._first + offset, stride):
            yield self.batch(number)

    def batch(self, number: int) -> Batch:
        config = self._config
        rng = np.random.default_rng((config.seed, number))
        scenes = [self._sampler.scene(rng) for _ in range(config.batch)]
        waveforms, targets = np.stack([one for one, _ in scenes]), np.stack([one for _, one in scenes])
        if self._live is not None:
            targets = np.maximum(targets, self._live(torch.from_numpy(waveforms)).numpy())
        return make_batch(waveforms, targets, self._features, config, rng)


class PooledScenes(IterableDataset[Batch]):
    """Batches from a pool, from batch number `first` on; the n-th of a seed is always the same."""

    def __init__(self, pool: ScenePool, config: DistillConfig, first: int) -> None:
        self._pool, self._config, self._first = pool, config, first
        self._features = BatchedLogMel(config.spec)

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        config = self._config
        order = self._pool.order(config.seed, self._first * config.batch)
        for number in itertools.count(self._first):
            rng = np.random.default_rng((config.seed, number))
            scenes = [self._pool.scene(next(order)) for _ in range(config.batch)]
            louder = 10 ** (rng.uniform(-LOUDER_DB, LOUDER_DB, (config.batch, 1)) / 20)
            waveforms = np.clip(np.stack([one for one, _ in scenes]) * louder, -1, 1).astype(np.float32)
            yield make_batch(waveforms, np.stack([one for _, one in scenes]), self._features, config, rng)


def make_batch(
    waveforms: Samples,
    targets: npt.NDArray[np.float32],
    features: BatchedLogMel,
    config: DistillConfig,
    rng: np.random.Generator,
) -> Batch:
    """Scenes (B, samples) and targets (B, S, K), with a random frequency response and masks."""
    spec = config.spec
    # The last frame looks a little past the scene.
    heard = np.pad(waveforms, ((0, 0), (0, spec.window - spec.hop)))
    masks = torch.Generator().manual_seed(int(rng.integers(2**31)))
    response = config.equaliser_db * np.log(10) / 10 / (2 * spec.std)
    log_mel = equalise(features(torch.from_numpy(heard)), response, spec.silence, masks)
    return Batch(
        spec_augment(log_mel, config.time_mask, config.frequency_mask, masks),
        torch.from_numpy(np.stack([heard_lately(target, config.held) for target in targets])),
        torch.from_numpy(np.stack([heard_lately(target, config.lately) for target in targets])),
        log_mel if config.features else log_mel[:, :0],
    )
