"""Ways to vary a sound, as the frames (frames, width) that a model is given: pictures of log-mel, or samples.

What comes out sounds like no recording; it only has to be of the kind that a model may meet, and that labels answer to.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import soxr

Frames = npt.NDArray[np.float32]
Rng = np.random.Generator
Variation = Callable[[Frames, Frames, Rng], Frames]
"""A sound and another one to a new one of the same shape."""


def varied(kind: str, sound: Frames, others: Sequence[Frames], rng: Rng) -> Frames:
    """The sound changed in one or two ways; `kind` is the front end's type."""
    ways = WAYS[kind]
    for _ in range(rng.integers(1, 3)):
        sound = ways[int(rng.integers(len(ways)))](sound, others[int(rng.integers(len(others)))], rng)
    return sound


def spliced(sound: Frames, other: Frames, rng: Rng) -> Frames:
    """A part of one sound, then a part of another."""
    frames = len(sound)
    cut = int(rng.integers(frames // 4, 3 * frames // 4 + 1))
    start, skipped = int(rng.integers(frames - cut + 1)), int(rng.integers(cut + 1))
    return np.concatenate((sound[start : start + cut], other[skipped : skipped + frames - cut]))


def _moved(sound: Frames, other: Frames, rng: Rng) -> Frames:
    return np.roll(sound, int(rng.integers(len(sound))), axis=0)


def _repeated(sound: Frames, other: Frames, rng: Rng) -> Frames:
    part = sound[: max(int(len(sound) * rng.uniform(0.05, 0.5)), 1)]
    return np.resize(part, sound.shape)


def _louder(sound: Frames, other: Frames, rng: Rng) -> Frames:
    return sound + np.float32(rng.normal(0, 0.3))


def _together(sound: Frames, other: Frames, rng: Rng) -> Frames:
    return np.maximum(sound, other + np.float32(rng.uniform(-0.8, 0.1)))


def _coloured(sound: Frames, other: Frames, rng: Rng) -> Frames:
    places = np.linspace(0, sound.shape[1] - 1, 5)
    return sound + np.interp(np.arange(sound.shape[1]), places, rng.normal(0, 0.4, 5)).astype(np.float32)


def _higher(sound: Frames, other: Frames, rng: Rng) -> Frames:
    bins = np.arange(sound.shape[1]) - int(rng.integers(-8, 9))
    return sound[:, bins.clip(0, sound.shape[1] - 1)]


def _stretched(sound: Frames, other: Frames, rng: Rng) -> Frames:
    places = (np.arange(len(sound)) * np.exp(rng.uniform(-0.5, 0.5))).astype(int)
    return sound[places.clip(0, len(sound) - 1)]


def _scaled(sound: Frames, other: Frames, rng: Rng) -> Frames:
    return sound * np.float32(np.exp(rng.normal(0, 1)))


def _added(sound: Frames, other: Frames, rng: Rng) -> Frames:
    return (sound + other * np.float32(np.exp(rng.uniform(-3, 0.5)))).clip(-1, 1)


def _filtered(sound: Frames, other: Frames, rng: Rng) -> Frames:
    spectrum = np.fft.rfft(sound.reshape(-1))
    octaves = np.log2(np.linspace(0.002, 1, len(spectrum)))
    gain = np.interp(octaves, np.linspace(octaves[0], 0, 6), rng.normal(0, 8, 6))
    made = np.fft.irfft(spectrum * 10 ** (gain / 20), sound.size)
    return made.clip(-1, 1).astype(np.float32).reshape(sound.shape)


def _faster(sound: Frames, other: Frames, rng: Rng) -> Frames:
    made = soxr.resample(sound.reshape(-1), 16_000, 16_000 / float(np.exp(rng.uniform(-0.7, 0.7))))
    return np.resize(np.pad(made, (0, max(sound.size - len(made), 0))), sound.shape).astype(np.float32)


WAYS: dict[str, tuple[Variation, ...]] = {
    "log_mel": (spliced, _moved, _repeated, _louder, _together, _coloured, _higher, _stretched),
    "waveform": (spliced, _moved, _repeated, _scaled, _added, _filtered, _faster),
}
