"""Batches of clips by number: whole clips, each once an epoch, as the paper's tasks are trained (a cut or a filling-up,
and mixup), or windows from anywhere.

An example is made from the seed, the number of its batch and its place in it alone, so any number of worker processes,
and of processes that share a batch, gives the same ones.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset as TorchDataset

from asit_edge.audio.samples import Samples
from asit_edge.model.frontend import FrontEnd
from trainer.data.clips.targets import Rows, heard_lately
from trainer.data.clips.usable import StandIns
from trainer.data.clips.windows import WindowSampler
from trainer.data.mixing import fitted
from trainer.run.ranks.sharing import Share, whole

MIXUP_BETA = 10.0
"""AST's mixup blends with a share from Beta(10, 10), near one half."""


class Taken(NamedTuple):
    """A batch: waveforms (batch, samples) and labels (batch, classes) or (batch, slots, classes), float32; and the
    clips that could not be learnt from, and why."""

    waveforms: Samples
    labels: Samples
    skipped: dict[str, str]


class WholeClips(TorchDataset[Taken]):
    """Item `step` is a batch, or this process's share of it.

    For a clip that cannot be learnt from the next one that can stands in.
    """

    def __init__(
        self,
        clips: Sequence[Samples],
        targets: Rows,
        samples: int,
        batch: int,
        steps: int,
        mixup: float,
        seed: int,
        weights: npt.NDArray[np.float64] | None = None,
        share: Share | None = None,
    ) -> None:
        """`samples` is the length of a batch's waveforms, `weights` how often a clip is drawn (None: once an epoch)."""
        self._clips, self._targets, self._samples, self._batch = StandIns(clips), targets, samples, batch
        self._steps, self._mixup, self._seed, self._weights = steps, mixup, seed, weights
        self._share = share or whole(batch)
        self.epoch_steps = max(len(clips) // batch, 1)
        self._ordered: tuple[int, npt.NDArray[np.integer]] | None = None

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> Taken:
        epoch, first = divmod(step, self.epoch_steps)
        order = self._order(epoch)
        skipped: dict[str, str] = {}
        made = []
        for place in self._share.places:
            index = int(order[(first * self._batch + place) % len(order)])
            made.append(self._example(index, np.random.default_rng((self._seed, 1, step, place)), skipped))
        return Taken(np.stack([waveform for waveform, _ in made]), np.stack([target for _, target in made]), skipped)

    def _order(self, epoch: int) -> npt.NDArray[np.integer]:
        if self._ordered is None or self._ordered[0] != epoch:
            rng = np.random.default_rng((self._seed, 0, epoch))
            count = len(self._clips)
            order = rng.permutation(count) if self._weights is None else rng.choice(count, count, p=self._weights)
            self._ordered = epoch, order
        return self._ordered[1]

    def _example(self, index: int, rng: np.random.Generator, skipped: dict[str, str]) -> tuple[Samples, Samples]:
        index, clip = self._clips.take(index, skipped)
        waveform, target = fitted(clip, self._samples, rng), self._targets[index]
        if rng.random() < self._mixup:
            other, clip = self._clips.take(int(rng.integers(len(self._clips))), skipped)
            share = np.float32(rng.beta(MIXUP_BETA, MIXUP_BETA))
            waveform = share * waveform + (1 - share) * fitted(clip, self._samples, rng)
            target = share * target + (1 - share) * self._targets[other]
        return waveform, target


class WindowClips(TorchDataset[Taken]):
    """Item `step` is a batch of windows, or this process's share of it.

    With a frame head a label counts for the `held` - 1 time steps after its own, too.
    """

    def __init__(self, sampler: WindowSampler, steps: int, seed: int, share: Share, held: int = 1) -> None:
        self._sampler, self._steps, self._seed, self._share, self._held = sampler, steps, seed, share, held

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> Taken:
        skipped: dict[str, str] = {}
        chances = [np.random.default_rng((self._seed, step, place)) for place in self._share.places]
        waveforms, labels = self._sampler.windows(chances, skipped)
        return Taken(waveforms, heard_lately(labels, self._held), skipped)


def clip_windows(clip: Samples, spec: FrontEnd, frames: int) -> list[Samples]:
    """Windows of `frames` frames, every half window, that cover the clip; the last one ends in silence if it must."""
    length, hop = spec.samples_for(frames), frames // 2 * spec.hop
    starts = range(0, max(len(clip) - length, 0) + hop // 2 + 1, hop)
    padded = np.concatenate((clip, np.zeros(length + hop, np.float32)))
    return [padded[start : start + length] for start in starts]
