"""What an adopted model is compared on: made sounds, of which some travel along as golden inputs, and real ones."""

from functools import cache

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from asit_edge.audio.samples import Samples
from asit_edge.cli.demo import recording
from trainer.data.mixing import coloured_noise, fitted
from trainer.distillation.synthesis import MAKERS, synthesised

GRID = np.float32(4096)
"""Made samples are whole parts of 1 / this: noise with all its digits does not compress."""
MADE_AT = 32_000
"""Hz: sounds are made where they have room, and resampled."""
LEVEL = 0.5
GOLDEN_WINDOWS = 8
BETWEEN = 0.5
"""Seconds between windows of the demonstration recording."""


def made_sounds(length: int, rate: int) -> list[Samples]:
    """Silence, faint and loud noise, and one of each sound that can be made; each (length,)."""
    rng = np.random.default_rng(0)
    made = [np.zeros(length), *(level * coloured_noise(length, 1.0, rng) for level in (0.003, 0.1))]
    for name in MAKERS:
        made.append(LEVEL * fitted(_sound(name, rate), length, rng))
    return [(np.round(one * GRID) / GRID).astype(np.float32) for one in made]


@cache
def _sound(name: str, rate: int) -> Samples:
    return soxr.resample(synthesised(name, 0, MADE_AT), MADE_AT, rate)


def real_sounds(length: int, rate: int) -> list[Samples]:
    """Windows of the demonstration recording, each (length,)."""
    samples, own = soundfile.read(recording(), dtype="float32")
    heard = soxr.resample(samples, own, rate).astype(np.float32)
    return [heard[start : start + length] for start in range(0, len(heard) - length + 1, round(BETWEEN * rate))]


def choose_golden(scores: npt.NDArray[np.float32]) -> list[int]:
    """Of windows with these scores (windows, classes), those to travel along: the first, which is silence, and where
    the most different labels are the most active."""
    best = scores.argmax(axis=1)
    order = [int(index) for index in np.argsort(-scores.max(axis=1), kind="stable") if index]
    firsts = [index for place, index in enumerate(order) if best[index] not in best[order[:place]]]
    rest = [index for index in order if index not in firsts]
    return sorted([0, *(firsts + rest)[: GOLDEN_WINDOWS - 1]])
