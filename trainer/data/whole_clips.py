"""Whole clips in batches, each once an epoch, as the paper's tasks are trained: a cut or a filling-up, and mixup.

A batch is made from its number and the seed alone, so any number of worker processes gives the same ones.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset as TorchDataset

from asit_edge.audio.samples import Samples
from asit_edge.model.frontend import FrontEnd
from trainer.data.mixing import fitted

MIXUP_BETA = 10.0
"""AST's mixup blends with a share from Beta(10, 10), near one half."""


class WholeClips(TorchDataset[tuple[Samples, Samples]]):
    """Item `step` is a batch: waveforms (batch, samples) and labels (batch, classes), float32."""

    def __init__(
        self,
        clips: Sequence[Samples],
        targets: Samples,
        samples: int,
        batch: int,
        steps: int,
        mixup: float,
        seed: int,
        weights: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """`samples` is the length of a batch's waveforms, `weights` how often a clip is drawn (None: once an epoch)."""
        self._clips, self._targets, self._samples, self._batch = clips, targets, samples, batch
        self._steps, self._mixup, self._seed, self._weights = steps, mixup, seed, weights
        self.epoch_steps = max(len(clips) // batch, 1)
        self._ordered: tuple[int, npt.NDArray[np.integer]] | None = None

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> tuple[Samples, Samples]:
        rng = np.random.default_rng((self._seed, 1, step))
        epoch, place = divmod(step, self.epoch_steps)
        order = self._order(epoch)
        chosen = order[np.arange(place * self._batch, (place + 1) * self._batch) % len(order)]
        made = [self._example(int(index), rng) for index in chosen]
        return np.stack([waveform for waveform, _ in made]), np.stack([target for _, target in made])

    def _order(self, epoch: int) -> npt.NDArray[np.integer]:
        if self._ordered is None or self._ordered[0] != epoch:
            rng = np.random.default_rng((self._seed, 0, epoch))
            count = len(self._clips)
            order = rng.permutation(count) if self._weights is None else rng.choice(count, count, p=self._weights)
            self._ordered = epoch, order
        return self._ordered[1]

    def _example(self, index: int, rng: np.random.Generator) -> tuple[Samples, Samples]:
        waveform, target = fitted(self._clips[index], self._samples, rng), self._targets[index]
        if rng.random() < self._mixup:
            other = int(rng.integers(len(self._clips)))
            share = np.float32(rng.beta(MIXUP_BETA, MIXUP_BETA))
            waveform = share * waveform + (1 - share) * fitted(self._clips[other], self._samples, rng)
            target = share * target + (1 - share) * self._targets[other]
        return waveform, target


def balanced_weights(targets: Samples) -> npt.NDArray[np.float64]:
    """How often to draw each clip, so that classes come alike: by the sum of 1 / clips over its classes (AST)."""
    counts = np.maximum(targets.sum(axis=0), 1)
    weights = (targets / counts).sum(axis=1).astype(np.float64)
    weights[weights == 0] = weights[weights > 0].min() if (weights > 0).any() else 1.0
    return weights / weights.sum()


def clip_windows(clip: Samples, spec: FrontEnd, frames: int) -> list[Samples]:
    """Windows of `frames` frames, every half window, that cover the clip; the last one ends in silence if it must."""
    length, hop = spec.samples_for(frames), frames // 2 * spec.hop
    starts = range(0, max(len(clip) - length, 0) + hop // 2 + 1, hop)
    padded = np.concatenate((clip, np.zeros(length + hop, np.float32)))
    return [padded[start : start + length] for start in starts]
