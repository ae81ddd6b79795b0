"""Many channels to one: their mean, unless the mean loses the sound; then the loudest channel. Pure.

The mean of two channels of which one is inverted is silence, and the mean of eight of which seven are silent is nearly
that. What is judged are cells of 50 ms, whatever the blocks that audio comes in, so the same samples give the same
result. A mix that is 30 dB below the loudest channel in one cell, or 15 dB below it over a second of sound, has lost
it: from there on the loudest channel is heard, and the mean never again. Where mixing costs less, the mean stays: one
silent channel of two makes it 6 dB quieter, three silent ones of four 12 dB.
"""

from collections import deque

import numpy as np
import numpy.typing as npt

from asit_edge.audio.samples import Block, Samples, to_mono

CELL = 0.05
"""Seconds that are judged together."""

CELLS = 20
"""Cells with sound that are judged together where a mix is not quite lost."""

GONE, LOST = 10**-3.0, 10**-1.5
"""Power of the mix by that of the loudest channel, below which the sound is lost: in one cell, and over `CELLS`."""

LEAST = 1e-8
"""Mean square of the loudest channel (-77 dBFS) below which a cell tells nothing."""


class Downmix:
    """One stream."""

    def __init__(self, rate: int) -> None:
        """`rate` in Hz."""
        self.channel: int | None = None
        """The channel that is heard, counted from 1; None while it is the mean of all."""
        self._cell = max(round(CELL * rate), 1)
        self._news: list[str] = []
        self._channels = 1
        self._pending: list[Block] = []
        self._filled = 0
        self._judged: deque[npt.NDArray[np.float64]] = deque(maxlen=CELLS)

    def mix(self, block: Block) -> Samples:
        """The next samples (n, channels) to mono (n,). Another number of channels than before is another stream."""
        if block.shape[1] != self._channels:
            self._begin(block.shape[1])
        if self._channels == 1:
            return to_mono(block, None)
        parts: list[Samples] = []
        while len(block):
            part, block = block[: self._cell - self._filled], block[self._cell - self._filled :]
            parts.append(to_mono(part, self.channel))
            self._pending.append(part)
            self._filled += len(part)
            if self._filled == self._cell:
                self._judge(np.ascontiguousarray(np.concatenate(self._pending), np.float64))
                self._pending, self._filled = [], 0
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def news(self) -> list[str]:
        """What has to be said about the channels since it was asked last, in words that follow a name."""
        news, self._news = self._news, []
        return news

    def _begin(self, channels: int) -> None:
        self.channel, self._channels = None, channels
        self._pending, self._filled = [], 0
        self._judged.clear()

    def _judge(self, cell: npt.NDArray[np.float64]) -> None:
        """Mean squares of every channel, and last of the mix, decide what is heard from now on."""
        powers = np.append(np.square(cell).mean(axis=0), np.square(cell.mean(axis=1)).mean())
        loudest = powers[:-1].max()
        if loudest < LEAST:
            return
        self._judged.append(powers)
        heard = -1 if self.channel is None else self.channel - 1
        total = np.sum(self._judged, axis=0)
        gone = self.channel is None and powers[-1] < GONE * loudest
        lost = len(self._judged) == CELLS and total[heard] < LOST * total[:-1].max()
        if gone or lost:
            self.channel = int(np.argmax(powers[:-1] if gone else total[:-1])) + 1
            why = "mixing its {} channels loses the sound (is one in opposite phase, or are most of them silent?)"
            if heard >= 0:
                why = f"channel {heard + 1} has become silent"
            self._news.append(f"{why.format(len(powers) - 1)}; channel {self.channel}, the loudest, is heard instead")
