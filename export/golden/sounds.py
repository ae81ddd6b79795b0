"""Sounds to begin with: recordings (`sounds/`, their licence beside them) and those that standards describe."""

from pathlib import Path

import numpy as np
import soundfile
import soxr

from asit_edge.audio.samples import Samples
from trainer.data.mixing import coloured_noise, fitted
from trainer.distillation.synthesis import MAKERS, synthesised

FOLDER = Path(__file__).parent / "sounds"
LICENCE = FOLDER / "LICENSE.md"
MADE_AT = 16_000
LEAD = 0.06
"""Seconds of silence before a sound."""


def seeds(length: int, rate: int) -> list[Samples]:
    """Recordings, made sounds, and noise; each (length,) at that rate."""
    rng = np.random.default_rng(0)
    whole = []
    for file in sorted(FOLDER.glob("*.ogg")):
        sound, own = soundfile.read(file, dtype="float32")
        whole.append(_resampled(sound, own, rate))
    whole += [_resampled(synthesised(name, 0, MADE_AT), MADE_AT, rate) for name in MAKERS]
    found = []
    for sound in whole:
        led = np.concatenate((np.zeros(round(LEAD * rate), np.float32), sound))
        starts = range(0, max(len(led) - length // 2, 1), length)
        found += [_padded(led[start : start + length], length) for start in starts]
    return found + [0.1 * coloured_noise(length, exponent, rng) for exponent in (0.0, 1.0, 2.0)]


def quiet(length: int, rate: int) -> list[Samples]:
    """On which nothing should be active: silence, and faint noise."""
    return [np.zeros(length, np.float32), 0.001 * coloured_noise(length, 1.0, np.random.default_rng(1))]


def _resampled(sound: Samples, own: int, rate: int) -> Samples:
    return sound if own == rate else soxr.resample(sound, own, rate).astype(np.float32)


def _padded(sound: Samples, length: int) -> Samples:
    return fitted(sound[:length], length) if len(sound) > length else np.pad(sound, (0, length - len(sound)))
