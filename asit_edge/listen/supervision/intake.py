"""What of the audio may be listened to: checked for what no microphone gives, and measured. Pure."""

from typing import NamedTuple

import numpy as np

from asit_edge.audio.level import CLIPPED_SHARE, FULL_SCALE, LOUDEST, Flatness, Loudness, Meter
from asit_edge.audio.samples import Block, Samples


def checked(block: Block) -> tuple[Block, list[str]]:
    """A block (n, channels) without samples that no microphone gives, and what was wrong, in words for the user."""
    problems = []
    if not np.isfinite(block).all():
        problems.append("delivers samples that are not numbers; they are taken as silence")
        block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
    if float(np.abs(block).max(initial=0.0)) > LOUDEST:
        problems.append(
            f"delivers samples beyond {LOUDEST:g} times full scale; they are cut to that (is its sample format right?)"
        )
        block = np.clip(block, -LOUDEST, LOUDEST)
    if float((np.abs(block) >= FULL_SCALE).mean()) > CLIPPED_SHARE:
        problems.append("is clipped (over 1 % of its samples are at full scale); lower its gain")
    return block, problems


class Taken(NamedTuple):
    """What to make of the next samples."""

    samples: Samples
    """What may be heard of them."""
    skipped: int
    """How many come before these: they go on with a digital silence that is known."""
    levels: list[Loudness]
    flat_seconds: float
    """How long every sample has been the same, where that is long enough for digital silence; else 0."""


class Intake:
    """The samples of one source, capture after capture."""

    def __init__(self, silent_after: float) -> None:
        """`silent_after` seconds of one and the same value are digital silence; 0: never."""
        self._silent_after = silent_after
        self.begin(1)  # until there is a capture

    def begin(self, rate: int) -> None:
        """A new capture, at that rate in Hz."""
        self.silent = False
        """The device delivers digital silence at the moment."""
        self._rate = rate
        self._meter, self._flat = Meter(rate), Flatness()

    def interrupt(self) -> None:
        """What comes next does not follow on."""
        self._flat.reset()

    def take(self, samples: Samples) -> Taken:
        """The next mono samples of the capture."""
        levels = self._meter.push(samples)
        if not self._silent_after:
            return Taken(samples, 0, levels, 0.0)
        same = self._flat.push(samples)
        skipped = same if self.silent else 0
        if skipped == len(samples):
            return Taken(samples[:0], skipped, levels, 0.0)
        self.silent = self._flat.run >= self._silent_after * self._rate
        flat = self._flat.run / self._rate if self.silent else 0.0
        return Taken(samples[skipped:], skipped, levels, flat)
