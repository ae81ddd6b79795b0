"""Audio to the columns of a spectrogram, as people see it: mel bands, one byte each. Pure."""

import numpy as np
import numpy.typing as npt

from asit_edge.audio.samples import Samples
from asit_edge.model.frontend import FrontEnd, hann, mel_filters

BANDS = 64
PER_SECOND = 20
"""Columns."""

LOWEST, HIGHEST = 50.0, 8_000.0
"""Hz: the edges of the first and the last band, where the rate allows."""

RANGE = 100.0
"""Decibels below a full-scale sine that a byte spans: 0 is the faintest, 255 full scale."""

_WINDOW = 0.064
"""Seconds that a column looks at."""

Bands = npt.NDArray[np.uint8]
"""Columns, oldest first, (columns, BANDS); band 0 is the lowest."""


class Columns:
    """One stream of audio at `rate` Hz."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.hop = max(round(rate / PER_SECOND), 1)
        """Samples between columns."""
        size = max(round(rate * _WINDOW), 16)
        fft = 1 << (size - 1).bit_length()
        self.highest = min(HIGHEST, rate / 2)
        spec = FrontEnd(
            sample_rate=rate, window=size, hop=self.hop, fft=fft, mels=BANDS, low_hz=LOWEST, high_hz=self.highest
        )
        filters = mel_filters(spec)
        self._filters = filters / np.maximum(filters.sum(axis=0), 1e-9)
        self._window = hann(size)
        self._full = float(self._window.sum() / 2) ** 2
        self._fft = fft
        self._rest: Samples = np.zeros(0, np.float32)

    def push(self, samples: Samples) -> Bands:
        """Mono samples (n,) to the columns that they complete."""
        buffered = np.concatenate((self._rest, samples))
        size = len(self._window)
        count = max((len(buffered) - size) // self.hop + 1, 0)
        self._rest = buffered[count * self.hop :].copy()
        if not count:
            return np.zeros((0, BANDS), np.uint8)
        view = np.lib.stride_tricks.sliding_window_view(buffered, size)[: (count - 1) * self.hop + 1 : self.hop]
        spectrum = np.fft.rfft(view * self._window, self._fft, axis=1)
        power = (np.square(spectrum.real) + np.square(spectrum.imag)) @ self._filters / self._full
        decibels = 10 * np.log10(np.maximum(power, 10 ** (-RANGE / 10)))
        return np.clip(np.rint((decibels + RANGE) * (255 / RANGE)), 0, 255).astype(np.uint8)
