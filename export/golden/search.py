"""The search for inputs on which labels are active: for each label the sound that comes nearest is varied until the
model takes it for heard. Whatever is scored counts for every label at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from export.golden.variations import Frames, spliced

Margins = npt.NDArray[np.float64]
"""(sounds, labels): by how much the highest logit of a sound is above the label's threshold."""
Judge = Callable[[Sequence[Frames]], Margins]
Vary = Callable[[Frames, Sequence[Frames], np.random.Generator], Frames]

BATCH = 32
MERGING = 0.3
"""Share of the tries that go into one sound in place of two."""
CLEAR = 0.1
"""A margin below this is none: another processor, another precision would decide otherwise."""


@dataclass
class Found:
    """Sounds that were kept, and their margins."""

    sounds: list[Frames]
    margins: list[npt.NDArray[np.float64]] = field(default_factory=list)

    @property
    def active(self) -> npt.NDArray[np.bool_]:
        """(sounds, labels)"""
        return np.stack(self.margins) >= CLEAR


def search(judge: Judge, vary: Vary, seeds: list[Frames], tries: int) -> list[Frames]:
    """Few sounds on which as many labels as could be are active, those first that add most labels.

    `judge` scores sounds; `tries` are scored beside the seeds.
    """
    rng = np.random.default_rng(0)
    found = Found(list(seeds), list(judge(seeds)))
    merging = round(tries * MERGING)
    best = np.stack(found.margins).argmax(axis=0)
    highest = np.stack(found.margins).max(axis=0)
    for _ in range((tries - merging) // BATCH):
        missing = np.flatnonzero(highest < CLEAR)
        if not len(missing):
            break
        tried = [vary(found.sounds[best[label]], found.sounds, rng) for label in rng.choice(missing, BATCH)]
        for sound, margins in zip(tried, judge(tried), strict=True):
            better = (margins > highest) & (highest < CLEAR)
            if better.any():
                best[better] = len(found.sounds)
                highest[better] = margins[better]
                found.sounds.append(sound)
                found.margins.append(margins)
    return _merged(judge, found, merging, rng)


def cover(active: npt.NDArray[np.bool_]) -> list[int]:
    """Of sounds (sounds, labels), few that together have every label that any has; greedily, the richest first."""
    left, chosen = active.any(axis=0), []
    while left.any():
        richest = int((active & left).sum(axis=1).argmax())
        chosen.append(richest)
        left &= ~active[richest]
    return chosen


def _merged(judge: Judge, found: Found, tries: int, rng: np.random.Generator) -> list[Frames]:
    """The cover, with sounds spliced from two of it wherever one does for both."""
    for _ in range(tries // BATCH):
        chosen = cover(found.active)
        if len(chosen) < 2:
            break
        tail = chosen[len(chosen) // 3 :]  # those that few labels need
        pairs = rng.choice(tail, (BATCH, 2))
        tried = [spliced(found.sounds[one], found.sounds[other], rng) for one, other in pairs]
        found.sounds += tried
        found.margins += list(judge(tried))
    return [found.sounds[place] for place in cover(found.active)]
