"""Training scenes: a few seconds of stream put together from recordings, with targets for every time step.

Sounds add as waveforms, their targets by the maximum; speed, room, noise and level are changed before teacher and
label targets are laid down in time, so that both say the same of what is heard.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import soxr

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError, one_line
from trainer.data.decode import Pcm, Waveforms, to_samples
from trainer.data.mixing import Powers, block_powers, coloured_noise, convolve, gain, placed

Targets = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SceneConfig:
    """How scenes are made. Levels in dB against full scale unless said otherwise."""

    steps: int = 40
    """Time steps of a scene: 6.4 s, the longest context and several chunks."""
    more: float = 0.25
    """Chance of one more sound over what is already there."""
    most: int = 5
    """Sounds in a scene, at most."""
    filled: float = 0.6
    """Sounds are added, one after the other, until they last this share of the scene."""
    level_db: tuple[float, float] = (-26.0, 8.0)
    """Mean and standard deviation of a sound's level (RMS of its loudest steps)."""
    speed: float = 0.12
    """Half of the sounds are played 1 - speed to 1 + speed times as fast, pitch included."""
    room: float = 0.15
    """Share of sounds that are heard through a room response."""
    noise: float = 0.6
    """Share of scenes with coloured noise."""
    noise_db: tuple[float, float] = (-75.0, -40.0)
    masked_db: float = -24.0
    """A sound that is this far below the scene in a step is not heard there; 12 dB above that it is, fully."""


class TimeTargets(Protocol):
    """Targets (time steps, labels) of recordings, by number; `labels` is how many there are."""

    @property
    def labels(self) -> int: ...

    def of(self, number: int, pcm: Pcm) -> Targets:
        """Those of the recording whose audio that is."""
        ...


@dataclass(frozen=True)
class StoredTargets:
    """Targets that are there already: of recording n, rows starts[n] to starts[n + 1]."""

    targets: Targets
    starts: npt.NDArray[np.int64]

    @property
    def labels(self) -> int:
        return self.targets.shape[1]

    def of(self, number: int, _pcm: Pcm) -> Targets:
        return self.targets[self.starts[number] : self.starts[number + 1]]


DAMAGED_IN_A_ROW = 20
"""So many recordings next to each other that cannot be read are no accident any more."""


class SceneSampler:
    """Draws scenes; a generator goes in with every call, so a seed repeats a scene wherever it is made.

    For a recording that cannot be read the next one that can stands in; `skipped` says which those were, and why.
    """

    def __init__(
        self,
        waveforms: Waveforms,
        chosen: Sequence[int],
        weights: npt.NDArray[np.float64],
        targets: TimeTargets,
        rate: int,
        step: int,
        config: SceneConfig = SceneConfig(),
        rooms: Sequence[Samples] = (),
    ) -> None:
        """`chosen` are recordings of `waveforms`, drawn by `weights`; `targets` are theirs, the n-th those of the n-th
        chosen. `rate` in Hz, `step` in samples."""
        self._waveforms, self._chosen, self._targets = waveforms, chosen, targets
        self.skipped: dict[int, str] = {}
        self._cumulative = np.cumsum(weights / weights.sum())
        self._rate, self._step, self.config = rate, step, config
        self._rooms = [room / np.sqrt((room**2).sum() + 1e-12) for room in rooms]
        rng = np.random.default_rng(0)
        self._noises = [coloured_noise(config.steps * step * 2, exponent, rng) for exponent in np.linspace(0, 2, 9)]

    @property
    def samples(self) -> int:
        """Samples of a scene."""
        return self.config.steps * self._step

    def scene(self, rng: np.random.Generator) -> tuple[Samples, Targets]:
        """Waveform (samples,) and targets (steps, labels)."""
        config = self.config
        mixture = np.zeros(self.samples, np.float32)
        layers: list[tuple[Powers, Targets]] = []
        lasts = 0.0
        while len(layers) < config.most and (lasts < config.filled or rng.random() < config.more):
            sound, target = self._sound(rng)
            mixture += sound
            energy = block_powers(sound, config.steps)
            layers.append((energy, target))
            lasts += float((energy > 0).mean())
        if rng.random() < config.noise:
            noise = self._noises[int(rng.integers(len(self._noises)))]
            place = int(rng.integers(len(noise) - self.samples))
            mixture += noise[place : place + self.samples] * np.float32(gain(rng.uniform(*config.noise_db)))
        total = block_powers(mixture, config.steps) + 1e-12
        targets = np.zeros((config.steps, self._targets.labels), np.float32)
        for energy, target in layers:
            level = 10 * np.log10((energy + 1e-14) / total)
            audible = np.clip((level - config.masked_db) / 12, 0, 1) * (energy > 1e-10)
            np.maximum(targets, target * audible[:, None].astype(np.float32), out=targets)
        return np.clip(mixture, -1, 1), targets

    def _sound(self, rng: np.random.Generator) -> tuple[Samples, Targets]:
        """One recording, or a part of it, somewhere in an otherwise silent scene."""
        config, step, length = self.config, self._step, self.samples
        number = int(np.searchsorted(self._cumulative, rng.random(), side="right"))
        number, pcm = self._readable(min(number, len(self._chosen) - 1))
        speed = rng.uniform(1 - config.speed, 1 + config.speed) if rng.random() < 0.5 else 1.0
        lasts = int(len(pcm) / speed)
        # Long recordings usually go on when the scene begins; short ones begin in it.
        if lasts > length and rng.random() < 0.7:
            onset = -int(rng.integers(lasts - length + 1))
        else:
            onset = int(rng.integers(-(min(lasts, length) // 3), max(length - min(lasts, length // 3), 1)))
        begin, end = max(onset, 0), min(onset + lasts, length)
        first = int((begin - onset) * speed)
        part = to_samples(pcm[first : first + int((end - begin) * speed) + 2])
        if speed != 1.0:
            part = soxr.resample(part, self._rate * speed, self._rate)
        part = part[: end - begin]
        if self._rooms and rng.random() < config.room:
            part = convolve(part, self._rooms[int(rng.integers(len(self._rooms)))])[: len(part)]
        sound = placed(part, length, begin)
        loudest = np.sqrt(np.partition(block_powers(sound, config.steps), -3)[-3:].mean())
        level = np.clip(rng.normal(*config.level_db), -55, -6)
        sound *= np.float32(gain(level) / max(float(loudest), 1e-4))
        rows = self._targets.of(number, pcm)
        centres = (np.arange(config.steps) + 0.5) * step
        place = ((centres - onset) * speed / step).astype(int)
        inside = (centres >= begin) & (centres < end)
        target = rows[place.clip(0, len(rows) - 1)] * inside[:, None]
        return sound, target.astype(np.float32)

    def _readable(self, number: int) -> tuple[int, Pcm]:
        for step in range(min(DAMAGED_IN_A_ROW, len(self._chosen))):
            candidate = (number + step) % len(self._chosen)
            try:
                return candidate, self._waveforms[self._chosen[candidate]]
            except AsitEdgeError as error:
                self.skipped[self._chosen[candidate]] = one_line(error)
        raise AsitEdgeError(f"recordings cannot be read: {'; '.join(self.skipped.values())}")
