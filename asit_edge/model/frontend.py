"""The one definition of the front end: Kaldi log-mel filter bank (ASiT section 3; AST's `kaldi.fbank` settings).

Offline and streaming results are equal bit for bit, because each frame is computed from its own samples by
the same fixed-shape operations, however many frames arrive at once. The trainer's batched torch version
(`trainer.data.features`) is tested against this one, and both against torchaudio's `compliance.kaldi.fbank`.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from asit_edge.audio.samples import Samples

Frames = npt.NDArray[np.float32]
"""Normalised log-mel, shape (frames, mel bins)."""

LOG_FLOOR = float(np.finfo(np.float32).eps)
"""Kaldi's floor under the logarithm of a mel energy."""


class FrontEnd(BaseModel):
    """What turns samples into log-mel frames; part of every model bundle. Lengths are in samples."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["log_mel"] = Field("log_mel", exclude=True)
    sample_rate: int = Field(16_000, ge=1_000, le=384_000, description="Hz")
    window: int = Field(400, gt=1, le=65_536, description="samples a frame looks at (25 ms)")
    hop: int = Field(160, gt=0, le=65_536, description="samples between frames (10 ms)")
    fft: int = Field(512, gt=1, le=65_536, description="FFT length, the window is zero-padded to it")
    mels: int = Field(128, gt=0, le=1_024, description="mel bins")
    low_hz: float = Field(20.0, ge=0)
    high_hz: float = Field(8_000.0, gt=0)
    preemphasis: float = Field(0.97, ge=0, lt=1)
    mean: float = Field(-4.2677393, description="of the log-mel values (AudioSet)")
    std: float = Field(4.5689974, gt=0, description="of the log-mel values (AudioSet)")

    @model_validator(mode="after")
    def _consistent(self) -> "FrontEnd":
        if self.fft < self.window:
            raise ValueError(f"fft ({self.fft}) must be at least the window ({self.window})")
        if not self.low_hz < self.high_hz <= self.sample_rate / 2:
            raise ValueError(f"low_hz ({self.low_hz}) < high_hz ({self.high_hz}) <= {self.sample_rate / 2} must hold")
        return self

    def frames_in(self, samples: int) -> int:
        """Number of whole frames in that many samples (Kaldi's `snip_edges`)."""
        return max(0, (samples - self.window) // self.hop + 1)

    def samples_for(self, frames: int) -> int:
        """Number of samples that give exactly that many frames."""
        return 0 if frames <= 0 else self.window + (frames - 1) * self.hop

    @property
    def width(self) -> int:
        """Numbers a frame."""
        return self.mels

    @property
    def silence(self) -> float:
        """The normalised value of every bin in digital silence."""
        return (float(np.log(LOG_FLOOR)) - self.mean) / (2 * self.std)


def mel(hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Frequencies on Kaldi's mel scale, 1127 ln(1 + f/700)."""
    return 1127.0 * np.log1p(np.asarray(hz, dtype=np.float64) / 700.0)


def mel_filters(spec: FrontEnd) -> npt.NDArray[np.float32]:
    """Triangular filters; shape (fft/2 + 1, mels).

    As in Kaldi, the triangles are linear in mel and the Nyquist bin takes no part.
    """
    edges = np.linspace(mel(spec.low_hz), mel(spec.high_hz), spec.mels + 2)
    bins = mel(np.arange(spec.fft // 2) * spec.sample_rate / spec.fft)[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
    filters = np.zeros((spec.fft // 2 + 1, spec.mels), np.float32)
    filters[:-1] = np.maximum(triangles, 0.0)
    return filters


def hann(length: int) -> npt.NDArray[np.float32]:
    """Kaldi's "hanning" window: symmetric, zero at both ends."""
    return np.hanning(length).astype(np.float32)


class LogMel:
    """Streaming log-mel: feed samples in blocks of any size, get each frame as soon as it is complete."""

    def __init__(self, spec: FrontEnd) -> None:
        self.spec = spec
        self._filters = mel_filters(spec)
        self._hann = hann(spec.window)
        self._rest: Samples = np.zeros(0, np.float32)

    def reset(self) -> None:
        """Forget the samples of an incomplete frame (after a gap)."""
        self._rest = np.zeros(0, np.float32)

    @property
    def pending(self) -> int:
        """Samples at hand that the next frame will use."""
        return self._rest.size

    def push(self, samples: Samples) -> Frames:
        """Samples, shape (n,), to the frames they complete, shape (0 or more, mels), normalised."""
        buffered = np.concatenate((self._rest, samples)) if self._rest.size else samples
        count = self.spec.frames_in(buffered.size)
        self._rest = buffered[count * self.spec.hop :].copy()
        if count == 0:
            return np.zeros((0, self.spec.mels), np.float32)
        view = np.lib.stride_tricks.sliding_window_view(buffered, self.spec.window)
        return self._compute(view[: (count - 1) * self.spec.hop + 1 : self.spec.hop])

    def _compute(self, frames: npt.NDArray[np.float32]) -> Frames:
        """Overlapping frames of samples, shape (n, window), to log-mel, shape (n, mels)."""
        centred = frames - frames.mean(axis=1, keepdims=True)
        previous = np.concatenate((centred[:, :1], centred[:, :-1]), axis=1)
        emphasised = centred - np.float32(self.spec.preemphasis) * previous
        spectrum = np.fft.rfft(emphasised * self._hann, self.spec.fft, axis=1).astype(np.complex64)
        power = spectrum.real**2 + spectrum.imag**2
        # One (1, bins) product per frame: a product of the whole block would round differently with its size.
        energies = np.matmul(power[:, None, :], self._filters)[:, 0, :]
        log_energies = np.log(np.maximum(energies, np.float32(LOG_FLOOR)))
        return (log_energies - np.float32(self.spec.mean)) / np.float32(2 * self.spec.std)


def log_mel(spec: FrontEnd, samples: Samples) -> Frames:
    """The whole recording at once: samples (n,) to frames (frames_in(n), mels)."""
    return LogMel(spec).push(np.ascontiguousarray(samples, np.float32))
