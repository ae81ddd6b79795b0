"""Takes of a sound: read from files or from a source's samples, and where in them the sound is."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from asit_edge.audio.samples import Samples
from asit_edge.audio.sources.audio_file import AudioFile
from asit_edge.errors import AsitEdgeError

LONGEST_FILE = 120.0
"""Seconds of a file that are looked through for the sound."""

LONGEST = 5.0
"""Seconds of a sound that are learnt from, where it is loudest."""

SILENT = 1e-5
"""RMS (of full scale) below which there is nothing: -100 dBFS."""

ABOVE_FLOOR = 6.0
"""Decibels above what the file has otherwise."""

BELOW_PEAK = 25.0
"""Decibels below its loudest moment down to which a sound lasts."""

PAUSE = 0.6
"""Seconds of quiet within one sound."""

BLOCK = 0.02


@dataclass(frozen=True)
class Take:
    """A recording in which the sound is once or several times, and where it is (seconds)."""

    name: str
    samples: Samples
    rate: int
    begin: float
    end: float
    content: str
    """SHA-256 of the samples as they are learnt from: the same recording twice is one take."""

    @property
    def sound(self) -> Samples:
        return self.samples[round(self.begin * self.rate) : round(self.end * self.rate)]


def read_take(file: Path, rate: int) -> Take:
    """A file's sound at `rate` Hz. Raises AsitEdgeError or WrongUse where the file cannot be read or is silent."""
    audio = AudioFile(file)
    try:
        resampler = soxr.ResampleStream(audio.rate, rate, 1, dtype="float32")
        parts, wanted = [], round(LONGEST_FILE * audio.rate)
        for block in audio.mono(audio.rate):
            parts.append(resampler.resample_chunk(block[:wanted]))
            wanted -= len(block)
            if wanted <= 0:
                break
        parts.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    finally:
        audio.close()
    return take_of(str(file), np.concatenate(parts), rate)


def take_of(name: str, samples: Samples, rate: int) -> Take:
    """Finds the sound in samples at `rate` Hz. Raises AsitEdgeError where there is none."""
    if len(samples) < rate * 0.05:
        raise AsitEdgeError(f"{name}: is shorter than 0.05 s; record the sound with a second before and after it")
    begin, end = find_sound(samples, rate)
    if begin == end:
        raise AsitEdgeError(f"{name}: is silent; check the microphone and its level, then record again")
    content = hashlib.sha256(np.ascontiguousarray(samples[begin:end]).tobytes()).hexdigest()
    return Take(name, samples, rate, begin / rate, end / rate, content)


def find_sound(samples: Samples, rate: int) -> tuple[int, int]:
    """Where the sound begins and ends, in samples: the loudest stretch that stands out of what the file has otherwise,
    at most `LONGEST` seconds of it. (0, 0) in silence.
    """
    size = round(BLOCK * rate)
    count = len(samples) // size
    if count < 2:
        silent = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) < SILENT
        return (0, 0) if silent else (0, len(samples))
    power = np.mean(np.square(samples[: count * size], dtype=np.float64).reshape(count, size), axis=1)
    if float(power.max()) ** 0.5 < SILENT:
        return 0, 0
    level = 10 * np.log10(power + 1e-14)
    floor = float(np.percentile(level, 20))
    least = max(float(level.max()) - BELOW_PEAK, min(floor + ABOVE_FLOOR, float(level.max()) - ABOVE_FLOOR))
    first, last = _loudest_stretch(level >= least, power, round(PAUSE / BLOCK))
    longest = round(LONGEST / BLOCK)
    if last - first > longest:
        sums = np.convolve(power[first:last], np.ones(longest), "valid")
        first += int(sums.argmax())
        last = first + longest
    return max(first - 1, 0) * size, min((last + 2) * size, len(samples))


def _loudest_stretch(active: np.ndarray, power: np.ndarray, pause: int) -> tuple[int, int]:
    """Blocks from and to of the stretch with most energy; quiet blocks up to `pause` in a row do not end one."""
    places = np.flatnonzero(active)
    groups = np.split(places, np.flatnonzero(np.diff(places) > pause) + 1)
    best = max(groups, key=lambda group: float(power[group].sum()))
    return int(best[0]), int(best[-1]) + 1
