"""The same sound as it may come another time: softer, faster, in another room, with something humming. Pure.

Waveforms are changed before the model hears them, because levels, rooms and noise are no changes of an embedding.
"""

from dataclasses import dataclass

import numpy as np
import soxr

from asit_edge.audio.samples import Samples

LEAD, TRAIL = (1.2, 1.6), 0.64
"""Seconds before (from, to: a sound begins anywhere in a chunk) and after the sound, in which the model hears the noise
of the place alone."""

LEVELS = (-45.0, -12.0)
"""dBFS of the sound's loudest 20 ms."""

NOISES = (8.0, 35.0)
"""Decibels of the sound above the noise."""

SPEEDS = (0.94, 1.06)

REVERBERATION = (0.1, 0.6)
"""Seconds in which a room's echo falls by 60 dB."""


@dataclass(frozen=True)
class Staged:
    """A stream with one sound in it, from `begin` to `end` (samples)."""

    samples: Samples
    begin: int
    end: int


def variants(sound: Samples, rate: int, count: int, rng: np.random.Generator) -> list[Staged]:
    """So many variants of a sound (samples,), each with `LEAD` and `TRAIL` around it; of the sound itself the first."""
    return [
        staged(sound, rate, _QUIET, rng),
        *(staged(varied(sound, rate, rng), rate, None, rng) for _ in range(count - 1)),
    ]


_QUIET = 60.0


def varied(sound: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """At another speed, with another level, perhaps in a room."""
    changed = soxr.resample(sound, rate * float(rng.uniform(*SPEEDS)), rate) if len(sound) > rate // 20 else sound
    if rng.random() < 0.6:
        changed = in_room(changed, rate, rng)
    peak = max(loudest(changed, rate), 1e-9)
    return (changed * (10 ** (float(rng.uniform(*LEVELS)) / 20) / peak)).astype(np.float32)


def in_room(sound: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """With a room's echo: noise that dies away, some decibels below the sound itself."""
    seconds = float(rng.uniform(*REVERBERATION))
    time = np.arange(round(seconds * rate)) / rate
    response = rng.standard_normal(len(time)) * np.exp(-6.9 * time / seconds)
    response *= float(rng.uniform(0.1, 0.7)) / np.sqrt(np.sum(response**2))
    response[0] += 1.0
    length = len(sound) + len(response) - 1
    size = 1 << (length - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)[:length]
    changed: Samples = wet.astype(np.float32)
    return changed


def staged(sound: Samples, rate: int, above: float | None, rng: np.random.Generator) -> Staged:
    """The sound with noise before, during and after it, which it is `above` so many decibels (None: any usual)."""
    above = float(rng.uniform(*NOISES)) if above is None else above
    before, after = round(float(rng.uniform(*LEAD)) * rate), round(TRAIL * rate)
    noise = coloured(before + len(sound) + after, float(rng.uniform(0.0, 2.0)), rng)
    noise *= np.float32(loudest(sound, rate) * 10 ** (-above / 20))
    noise[before : before + len(sound)] += sound
    return Staged(np.clip(noise, -1, 1), before, before + len(sound))


def coloured(length: int, exponent: float, rng: np.random.Generator) -> Samples:
    """Noise of unit RMS whose power falls as 1 / f^exponent."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (exponent / 2)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, length)
    made: Samples = (noise / max(float(np.sqrt(np.mean(noise**2))), 1e-12)).astype(np.float32)
    return made


def loudest(sound: Samples, rate: int) -> float:
    """RMS of the loudest 20 ms."""
    size = min(max(rate // 50, 1), len(sound))
    count = len(sound) // size
    if not count:
        return 0.0
    power = np.mean(np.square(sound[: count * size], dtype=np.float64).reshape(count, size), axis=1)
    return float(np.sqrt(power.max()))
