"""Training windows from whole clips: where a crop is taken, what is audible in it, and how it is made harder.

Works on waveforms, because sounds add as waveforms; masking of spectrograms lives in `trainer.data.augment`.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from asit_edge.audio.samples import Samples
from trainer.data.clips.targets import Rows
from trainer.data.clips.usable import StandIns
from trainer.data.mixing import coloured_noise, gain, loudest, placed, rms
from trainer.data.recording import TrueEvent

_rms = partial(rms, dtype=np.float32)


@dataclass(frozen=True)
class CropConfig:
    """How windows are drawn. Decibels are relative to the clip as it was recorded."""

    speed: float = 0.15
    """Speed (and with it pitch) is drawn from 1 - speed to 1 + speed."""
    gain_db: tuple[float, float] = (-20.0, 10.0)
    mix_probability: float = 0.5
    """Share of windows that a second, independent window is added to; both keep their labels."""
    mix_db: tuple[float, float] = (-10.0, 0.0)
    """Level of the added window."""
    noise_probability: float = 0.5
    noise_db: tuple[float, float] = (-40.0, -10.0)
    """Level of the added coloured noise against the window."""
    audible_db: float = -20.0
    """A window whose loudest 50 ms are below this, against the clip's loudest, does not carry the clip's label."""


class WindowSampler:
    """Draws batches of windows and their multi-hot labels; a batch depends on its generator alone.

    What is labelled: a clip's class where the clip is audible or, with strong labels, where its events are. With
    `slots`, each of as many equal parts of the window has labels of its own.
    """

    def __init__(
        self,
        clips: Sequence[Samples],
        targets: Rows,
        window: int,
        rate: int,
        config: CropConfig,
        slots: int | None = None,
        events: Sequence[Sequence[TrueEvent]] | None = None,
        weights: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """`clips` are waveforms at `rate` Hz, `targets` their labels (clips, classes), `window` in samples.

        `events` are each clip's true events; `weights` how often each clip is drawn, and sum to one.
        """
        self._slots, self._events, self._weights, self._rate = slots, events, weights, rate
        self._clips, self._targets, self._window, self._config = StandIns(clips), targets, window, config
        self._block = rate // 20
        self._audible: dict[int, float] = {}

    def windows(
        self, chances: Sequence[np.random.Generator], skipped: dict[str, str] | None = None
    ) -> tuple[Samples, Samples]:
        """A window of each generator, (windows, samples), and labels (windows, classes) or (windows, slots, classes),
        all float32. `skipped` gets the clips that could not be learnt from, and why."""
        skipped = {} if skipped is None else skipped
        windows, labels = zip(*(self._mixture(rng, skipped) for rng in chances), strict=True)
        return np.stack(windows), np.stack(labels)

    def batch(self, size: int, rng: np.random.Generator) -> tuple[Samples, Samples]:
        """So many windows of one generator."""
        return self.windows([rng] * size)

    def _mixture(self, rng: np.random.Generator, skipped: dict[str, str]) -> tuple[Samples, Samples]:
        config = self._config
        window, label = self._crop(rng, skipped)
        if rng.random() < config.mix_probability:
            other, other_label = self._crop(rng, skipped)
            level = _rms(window) / max(_rms(other), 1e-6) if label.any() and other_label.any() else 1.0
            window = window + other * np.float32(level * gain(rng.uniform(*config.mix_db)))
            label = np.maximum(label, other_label)
        if rng.random() < config.noise_probability:
            noise = coloured_noise(self._window, float(rng.uniform(0, 2)), rng)
            window = window + noise * np.float32(max(_rms(window), 1e-3) * gain(rng.uniform(*config.noise_db)))
        return (window * np.float32(gain(rng.uniform(*config.gain_db)))).astype(np.float32), label

    def _crop(self, rng: np.random.Generator, skipped: dict[str, str]) -> tuple[Samples, Samples]:
        """A random place of a random clip; beyond its ends there is silence."""
        count = len(self._clips)
        drawn = int(rng.integers(count) if self._weights is None else rng.choice(count, p=self._weights))
        index, clip = self._clips.take(drawn, skipped)
        if index not in self._audible:
            self._audible[index] = loudest(clip, self._block) * gain(self._config.audible_db)
        length = round(self._window * rng.uniform(1 - self._config.speed, 1 + self._config.speed))
        start = int(rng.integers(-(length // 2), max(len(clip) - length // 2, 1)))
        crop = placed(clip, length, -start)
        window = np.interp(np.linspace(0, length - 1, self._window), np.arange(length), crop)
        edges = np.linspace(0, length, (self._slots or 1) + 1).round().astype(int)
        if self._events is None:
            parts = itertools.pairwise(edges)
            audible = [
                loudest(crop[first:last], self._block) >= max(self._audible[index], 1e-5) for first, last in parts
            ]
            labels = np.outer(np.array(audible, np.float32), self._targets[index])
        else:
            labels = sounding((start + edges) / self._rate, self._events[index], len(self._targets[index]))
        return window.astype(np.float32), labels if self._slots else labels[0]


def sounding(edges: npt.NDArray[np.float64], events: Sequence[TrueEvent], classes: int) -> Samples:
    """Which classes are active between edges (n + 1,) in seconds, (n, classes): 1 where an event fills half of a part,
    lies in it by half, or is there for a quarter of a second.
    """
    labels = np.zeros((len(edges) - 1, classes), np.float32)
    for event in events:
        shared = np.minimum(edges[1:], event.offset) - np.maximum(edges[:-1], event.onset)
        needed = np.minimum(0.5 * np.minimum(np.diff(edges), event.offset - event.onset), 0.25)
        labels[shared >= np.maximum(needed, 1e-3), event.label] = 1
    return labels
