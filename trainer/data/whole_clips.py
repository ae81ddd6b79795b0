"""Whole clips in batches, each once an epoch, as the paper's tasks are trained: a cut or a filling-up, and mixup.

A batch is made from its number and the seed alone, so any number of worker processes gives the same ones.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset as TorchDataset

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError, one_line
from asit_edge.model.frontend import FrontEnd
from trainer.data.decode import LazyClips
from trainer.data.mixing import fitted
from trainer.data.usable import why_not

MIXUP_BETA = 10.0
"""AST's mixup blends with a share from Beta(10, 10), near one half."""


DAMAGED_IN_A_ROW = 20
"""So many clips next to each other that cannot be learnt from are no accident any more."""


class Taken(NamedTuple):
    """A batch: waveforms (batch, samples) and labels (batch, classes), float32; and the clips that could not be learnt
    from, and why."""

    waveforms: Samples
    labels: Samples
    skipped: dict[str, str]


class WholeClips(TorchDataset[Taken]):
    """Item `step` is a batch. For a clip that cannot be learnt from the next one that can stands in."""

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

    def __getitem__(self, step: int) -> Taken:
        rng = np.random.default_rng((self._seed, 1, step))
        epoch, place = divmod(step, self.epoch_steps)
        order = self._order(epoch)
        chosen = order[np.arange(place * self._batch, (place + 1) * self._batch) % len(order)]
        skipped: dict[str, str] = {}
        made = [self._example(int(index), rng, skipped) for index in chosen]
        return Taken(np.stack([waveform for waveform, _ in made]), np.stack([target for _, target in made]), skipped)

    def _order(self, epoch: int) -> npt.NDArray[np.integer]:
        if self._ordered is None or self._ordered[0] != epoch:
            rng = np.random.default_rng((self._seed, 0, epoch))
            count = len(self._clips)
            order = rng.permutation(count) if self._weights is None else rng.choice(count, count, p=self._weights)
            self._ordered = epoch, order
        return self._ordered[1]

    def _example(self, index: int, rng: np.random.Generator, skipped: dict[str, str]) -> tuple[Samples, Samples]:
        clip, target = self._usable(index, skipped)
        waveform = fitted(clip, self._samples, rng)
        if rng.random() < self._mixup:
            other = int(rng.integers(len(self._clips)))
            share = np.float32(rng.beta(MIXUP_BETA, MIXUP_BETA))
            clip, other_target = self._usable(other, skipped)
            waveform = share * waveform + (1 - share) * fitted(clip, self._samples, rng)
            target = share * target + (1 - share) * other_target
        return waveform, target

    def _usable(self, index: int, skipped: dict[str, str]) -> tuple[Samples, Samples]:
        """A clip and its labels, or the next ones."""
        for step in range(min(DAMAGED_IN_A_ROW, len(self._clips))):
            candidate = (index + step) % len(self._clips)
            try:
                clip = self._clips[candidate]
            except AsitEdgeError as error:
                skipped[self._name(candidate)] = one_line(error)
                continue
            reason = why_not(clip)
            if reason is None:
                return clip, self._targets[candidate]
            skipped[self._name(candidate)] = reason
        raise AsitEdgeError(f"{self._name(index)}: it and the clips after it cannot be learnt from: {skipped}")

    def _name(self, index: int) -> str:
        return self._clips.name(index) if isinstance(self._clips, LazyClips) else f"clip {index}"


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
