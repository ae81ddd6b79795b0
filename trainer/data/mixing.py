"""What mixing sounds is made of, each part once: levels, noise, rooms, cutting, placing and looping.

Pure functions on mono float32 waveforms (samples,), because sounds add as waveforms; what is drawn at random comes
from the generator that is passed in.
"""

import numpy as np
import numpy.typing as npt

from asit_edge.audio.samples import Samples

ACTIVE_DB = -30.0
"""A sound lasts from its first to its last 20 ms that are louder than this against its loudest."""

Powers = npt.NDArray[np.floating]


def gain(decibels: float) -> float:
    """The factor that is so many decibels."""
    return float(10 ** (decibels / 20))


def rms(samples: npt.NDArray[np.floating], dtype: npt.DTypeLike = np.float64) -> float:
    """Root of the mean square, 0 of no samples; `dtype` is what is summed in."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=dtype)))) if samples.size else 0.0


def block_powers(samples: npt.NDArray[np.floating], blocks: int) -> Powers:
    """Mean square of so many equal blocks, (blocks,); the samples must be a multiple of them."""
    return (samples.reshape(blocks, -1) ** 2).mean(axis=1)


def loudest(samples: Samples, block: int) -> float:
    """The highest RMS of any whole block of that many samples (of all samples, if they are fewer)."""
    if not samples.size:
        return 0.0
    count = len(samples) // block
    return float(np.sqrt(block_powers(samples[: count * block] if count else samples, max(count, 1)).max()))


def active(samples: Samples, rate: int, below_db: float = ACTIVE_DB) -> tuple[int, int]:
    """First and last sample + 1 of what is audible, by blocks of 20 ms; (0, 0) for digital silence."""
    block = rate // 50
    padded = np.pad(samples, (0, -len(samples) % block)).astype(np.float64)
    power = block_powers(padded, len(padded) // block) if padded.size else padded
    if not power.size or power.max() <= 1e-12:
        return 0, 0
    loud = np.flatnonzero(power >= power.max() * 10 ** (below_db / 10))
    return int(loud[0]) * block, min(int(loud[-1] + 1) * block, len(samples))


def coloured_noise(length: int, exponent: float, rng: np.random.Generator) -> Samples:
    """Gaussian noise of unit RMS whose power falls as 1 / f^exponent: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (exponent / 2)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, length)
    return (noise / rms(noise)).astype(np.float32)


def from_direct_sound(response: Samples) -> Samples:
    """A room response without what comes before its highest peak, the direct sound."""
    return response[int(np.abs(response).argmax()) :]


def convolve(samples: Samples, response: Samples) -> Samples:
    """A sound (n,) heard through a response (m,), with all of its echoes, (n + m - 1,)."""
    import torch  # here, because scenes without rooms need none of it

    from trainer.data.torch_audio import fftconvolve

    length = len(samples) + len(response) - 1
    # Filled up to a power of two: Fourier transforms of unlucky lengths take ten times as long.
    padded = np.zeros((1 << (length - 1).bit_length()) - len(response) + 1, np.float32)
    padded[: len(samples)] = samples
    wet: Samples = fftconvolve(torch.from_numpy(padded), torch.from_numpy(np.ascontiguousarray(response))).numpy()
    return wet[:length]


def in_room(samples: Samples, response: Samples) -> Samples:
    """The sound as a room answers it, at the same level; the response is used from its direct sound on."""
    wet = convolve(samples, from_direct_sound(response))
    return wet * np.float32(rms(samples) / max(rms(wet[: len(samples)]), 1e-9))


def placed(samples: Samples, length: int, start: int) -> Samples:
    """`length` samples of silence with the sound from `start` on; what lies outside of them is cut off."""
    made = np.zeros(length, np.float32)
    part = samples[max(-start, 0) : max(length - start, 0)]
    made[max(start, 0) : max(start, 0) + len(part)] = part
    return made


def fitted(samples: Samples, length: int, rng: np.random.Generator | None = None) -> Samples:
    """A random part of a longer sound, or a shorter one at a random place in silence; without `rng` in the middle."""
    spare = abs(len(samples) - length)
    start = spare // 2 if rng is None else int(rng.integers(spare + 1))
    return samples[start : start + length] if len(samples) >= length else placed(samples, length, start)


def faded(samples: Samples, longest: int, rate: int) -> Samples:
    """The first `longest` samples; a cut end is faded out over 50 ms."""
    if len(samples) <= longest:
        return samples
    cut = samples[:longest].copy()
    fade = min(rate // 20, longest)
    cut[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return cut


def looped(samples: Samples, length: int, rng: np.random.Generator, rate: int) -> Samples:
    """A random part of a background; a shorter one is repeated, cross-faded over up to half a second."""
    if len(samples) >= length:
        return fitted(samples, length, rng)
    fade = min(rate // 2, len(samples) // 4)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    made = samples
    while len(made) < length:
        seam = made[-fade:] * np.sqrt(1 - ramp) + samples[:fade] * np.sqrt(ramp) if fade else made[:0]
        made = np.concatenate((made[: len(made) - fade], seam, samples[fade:]))
    return made[:length].astype(np.float32)
