"""Knocks, slams, breaking, shots and explosions made from what physics says of them: short sounds of which few open
recordings exist.

What is struck rings in damped modes, the higher the sooner over; what bursts is a shock of broad noise whose high
frequencies die first, and what stands around answers it. Drawn at random within those, so that no two are the same.
"""

from itertools import pairwise

import numpy as np

from asit_edge.audio.samples import Samples
from trainer.data.mixing import coloured_noise

Rng = np.random.Generator

HIGHEST = 0.45
"""Share of the sample rate above which nothing is made."""


def struck(rng: Rng, rate: int, lowest: float, highest: float, modes: int, decay: float) -> Samples:
    """A body struck once: so many modes between two frequencies (Hz), the lowest ones dying away in `decay` s."""
    hz = np.exp(rng.uniform(np.log(lowest), np.log(min(highest, HIGHEST * rate)), modes))
    time = np.arange(round(3 * decay * rate)) / rate
    lasts = decay * (lowest / hz) ** rng.uniform(0.3, 0.9) * rng.uniform(0.6, 1.4, modes)
    loud = rng.uniform(0.2, 1.0, modes) * (lowest / hz) ** rng.uniform(0.0, 0.8)
    rings = loud[:, None] * np.exp(-time / lasts[:, None]) * np.sin(2 * np.pi * hz[:, None] * time)
    return rings.sum(axis=0).astype(np.float32)


def burst(rng: Rng, rate: int, seconds: float, decay: float, darkening: float) -> Samples:
    """A shock: noise of bands that each die away, the highest in `decay` / `darkening` s, the lowest in `decay` s."""
    count = round(seconds * rate)
    edges = np.geomspace(40, HIGHEST * rate, 9)
    spectrum = np.fft.rfft(coloured_noise(count, rng.uniform(0.3, 1.2), rng))
    hz, time = np.fft.rfftfreq(count, 1 / rate), np.arange(count) / rate
    made = np.zeros(count)
    for band, (low, high) in enumerate(pairwise(edges)):
        part = np.fft.irfft(spectrum * ((hz >= low) & (hz < high)), count)
        made += part * np.exp(-time / (decay * darkening ** (-band / (len(edges) - 2))))
    attack = max(round(rng.uniform(0.0002, 0.004) * rate), 1)
    made[:attack] *= np.linspace(0, 1, attack)
    return np.tanh(made / np.abs(made).max() * rng.uniform(1.0, 6.0)).astype(np.float32)


def surroundings(rng: Rng, rate: int, dry: Samples) -> Samples:
    """The sound and what stands around: a few echoes and a tail, from a room's to a valley's."""
    far = float(np.exp(rng.uniform(np.log(0.08), np.log(1.2))))
    wet = np.concatenate((dry, np.zeros(round(far * rate), np.float32)))
    for _ in range(int(rng.integers(2, 14))):
        late = int(far * rng.random() ** 2 * rate)
        wet[late : late + len(dry)] += dry[: len(wet) - late] * np.float32(rng.uniform(-0.3, 0.3))
    tail = coloured_noise(len(wet), rng.uniform(0.5, 1.5), rng) * np.exp(-np.arange(len(wet)) / (0.35 * far * rate))
    mixed = wet / np.abs(wet).max() + np.float32(rng.uniform(0.003, 0.08)) * tail
    return mixed.astype(np.float32)


def in_turn(rng: Rng, rate: int, parts: list[Samples], apart: list[float]) -> Samples:
    """Sounds that begin so many seconds after one another, each a little louder or softer."""
    starts = np.round(np.cumsum([0.0, *apart[: len(parts) - 1]]) * rate).astype(int)
    made = np.zeros(max(start + len(part) for start, part in zip(starts, parts, strict=True)), np.float32)
    for start, part in zip(starts, parts, strict=True):
        made[start : start + len(part)] += part * np.float32(rng.uniform(0.6, 1.0))
    return made


def knock(rng: Rng, rate: int) -> Samples:
    """Two to six knocks of knuckles on a door."""
    low, modes, seed = rng.uniform(90, 300), int(rng.integers(14, 40)), int(rng.integers(1 << 30))
    decay, hardness = rng.uniform(0.008, 0.03), rng.uniform(0.2, 1.2)
    count, pace = int(rng.integers(2, 7)), rng.uniform(0.12, 0.4)
    parts = []
    for _ in range(count):
        panel = struck(np.random.default_rng(seed), rate, low, rng.uniform(2500, 5000), modes, decay)
        click = burst(rng, rate, 0.06, 0.012, rng.uniform(2, 6))
        parts.append(panel / np.abs(panel).max() + np.float32(hardness) * fitted_to(click, len(panel)))
    return surroundings(rng, rate, in_turn(rng, rate, parts, [pace * rng.uniform(0.85, 1.15) for _ in parts]))


def slam(rng: Rng, rate: int) -> Samples:
    """A door that slams: the latch, the leaf's low thump, and what rattles."""
    decay = rng.uniform(0.03, 0.12)
    thump = struck(rng, rate, rng.uniform(40, 110), rng.uniform(1500, 4000), int(rng.integers(20, 50)), decay)
    clap = burst(rng, rate, 0.5, rng.uniform(0.03, 0.1), rng.uniform(2, 8))
    leaf = fitted_to(thump / np.abs(thump).max(), len(clap)) + clap * np.float32(rng.uniform(0.4, 1.5))
    latch = struck(rng, rate, rng.uniform(900, 2500), 7000, 16, rng.uniform(0.006, 0.02))
    latch *= np.float32(rng.uniform(0.05, 0.4)) / np.abs(latch).max()
    apart = [float(rng.uniform(0.0, 0.12)), float(rng.uniform(0.05, 0.2))]
    return surroundings(rng, rate, in_turn(rng, rate, [latch, leaf, latch], apart))


def shatter(rng: Rng, rate: int) -> Samples:
    """Glass that breaks: a blow, then splinters that ring high and short, fewer and fewer."""
    splinters = int(rng.integers(15, 70))
    lasts = rng.uniform(0.2, 1.2)
    blow = burst(rng, rate, 0.2, rng.uniform(0.01, 0.04), rng.uniform(1.0, 3.0)) * np.float32(rng.uniform(0.5, 2.0))
    made = np.zeros(round((lasts + 1.0) * rate), np.float32)
    made[: len(blow)] += blow
    for late in np.sort(np.minimum(rng.exponential(lasts / 3, splinters), lasts)):
        ring = struck(rng, rate, rng.uniform(1800, 5500), 7200, int(rng.integers(2, 7)), rng.uniform(0.01, 0.09))
        ring = ring[: len(made) - int(late * rate)] * np.float32(rng.uniform(0.05, 0.6) * np.exp(-late / lasts))
        made[int(late * rate) : int(late * rate) + len(ring)] += ring
    return surroundings(rng, rate, made)


def gunshot(rng: Rng, rate: int) -> Samples:
    """A shot: a few milliseconds of shock and blast; now and then another one."""
    decay, darkening = rng.uniform(0.015, 0.12), rng.uniform(1.5, 6)
    shots = [burst(rng, rate, 0.6, decay, darkening) for _ in range(int(rng.choice([1, 1, 1, 2, 3])))]
    return surroundings(rng, rate, in_turn(rng, rate, shots, [float(rng.uniform(0.25, 1.2)) for _ in shots]))


def machine_gun(rng: Rng, rate: int) -> Samples:
    """Four to thirty shots, seven to sixteen a second."""
    decay, darkening, pace = rng.uniform(0.01, 0.05), rng.uniform(1.5, 6), 1 / rng.uniform(7, 16)
    shots = [burst(rng, rate, 0.3, decay, darkening) for _ in range(int(rng.integers(4, 31)))]
    return surroundings(rng, rate, in_turn(rng, rate, shots, [pace * rng.uniform(0.97, 1.03) for _ in shots]))


def explosion(rng: Rng, rate: int) -> Samples:
    """A blast whose bright part is over soon and whose rumble goes on and crackles."""
    seconds = rng.uniform(1.5, 4.5)
    blast = burst(rng, rate, seconds, seconds * rng.uniform(0.15, 0.4), rng.uniform(3, 12))
    time = np.arange(len(blast)) / rate
    rumble = coloured_noise(len(blast), rng.uniform(1.6, 2.4), rng)
    crackle = 1 + rng.uniform(0.2, 1.0) * np.interp(time, np.linspace(0, seconds, 40), rng.standard_normal(40))
    swell = np.minimum(time / rng.uniform(0.02, 0.15), 1) * np.exp(-3 * time / seconds)
    made = blast + np.float32(rng.uniform(0.2, 0.8)) * (rumble * crackle * swell).astype(np.float32)
    return surroundings(rng, rate, made)


def fitted_to(samples: Samples, length: int) -> Samples:
    """The first `length` samples, made up with silence."""
    return np.pad(samples, (0, max(length - len(samples), 0)))[:length]
