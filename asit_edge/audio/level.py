"""How loud a source is. Decibels count from the RMS of a full-scale sine (AES17), so -3 dBFS is half its power."""

import math
from typing import NamedTuple

import numpy as np

from asit_edge.audio.samples import Samples

FLOOR = -120.0
"""dBFS of digital silence, and of everything below."""

LOUDEST = 8.0
"""Times full scale. What mixes and resamples may overshoot; more than 18 dB of it no microphone gives."""

FULL_SCALE = 0.9999
CLIPPED_SHARE = 0.01
"""A recording or microphone with more samples at full scale than this is distorted."""


class Loudness(NamedTuple):
    """Of a stretch of audio: dBFS of its RMS and of its highest sample, and the RMS of samples from -1 to 1."""

    dbfs: float
    peak_dbfs: float
    rms: float


def dbfs(rms: float) -> float:
    """RMS to decibels; a full-scale sine (RMS 0.707) has 0, a full-scale square wave 3.01, silence the floor."""
    return max(20 * math.log10(rms * math.sqrt(2)), FLOOR) if rms > 0 else FLOOR


def rms_of(level: float) -> float:
    """The RMS that has this level in dBFS."""
    return float(10 ** (level / 20) / math.sqrt(2))


class Meter:
    """Measures audio in stretches of `size` samples, whatever the blocks that it comes in."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._count = 0
        self._power = 0.0
        self._peak = 0.0

    def push(self, samples: Samples) -> list[Loudness]:
        """Mono samples to the loudness of every stretch that they complete."""
        found = []
        while len(samples):
            part, samples = samples[: self._size - self._count], samples[self._size - self._count :]
            self._power += float(np.dot(part, part))
            self._peak = max(self._peak, float(np.abs(part).max()))
            self._count += len(part)
            if self._count == self._size:
                rms = math.sqrt(self._power / self._size)
                peak = 20 * math.log10(self._peak) if self._peak > 0 else FLOOR
                found.append(Loudness(min(round(dbfs(rms), 1), 3.0), max(round(peak, 1), FLOOR), round(rms, 6)))
                self._count, self._power, self._peak = 0, 0.0, 0.0
        return found


class Flatness:
    """Counts how long a source has delivered the same sample again and again: no microphone does that."""

    def __init__(self) -> None:
        self.run = 0
        """Samples of the same value up to now."""
        self._value = math.nan

    def push(self, samples: Samples) -> int:
        """How many of these continue the run that was there before; all of them if it goes on."""
        differs = np.flatnonzero(samples != np.float32(self._value))
        kept = int(differs[0]) if len(differs) else len(samples)
        if kept == len(samples):
            self.run += kept
            return kept
        self._value = float(samples[-1])
        others = np.flatnonzero(samples != samples[-1])
        self.run = len(samples) - (int(others[-1]) + 1 if len(others) else 0)
        return kept

    def reset(self) -> None:
        self.run, self._value = 0, math.nan
