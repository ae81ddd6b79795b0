"""The last minute or so of a source, in memory, from which clips are cut.

What was heard without interruption is a stretch. A stretch ends where audio was missed, and where the times of the
source were corrected; a cut never goes across that. Samples are kept as 16-bit integers, in pages of a second that are
only ever written forward: what was cut is references to pages, so cutting costs no copy.
"""

from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from asit_edge.audio.samples import Samples

Pcm = npt.NDArray[np.int16]

FOLLOWS = 0.02
"""Seconds by which a block may seem to come early or late, and still follow on the one before."""

PAGE = 1.0
"""Seconds."""

MOST_STRETCHES = 100
"""A device that breaks off all the time leaves no more than so many."""

FULL_SCALE = 32_768
"""What comes as 16-bit integers leaves as the same."""


class Cut(NamedTuple):
    """Audio from `begin` (seconds since the epoch) on, at `rate` in Hz."""

    begin: float
    rate: int
    pages: list[Pcm]

    @property
    def seconds(self) -> float:
        return sum(len(page) for page in self.pages) / self.rate

    @property
    def samples(self) -> Pcm:
        return np.concatenate(self.pages)


class _Stretch:
    """Audio without interruption; `begin` is when its first sample was heard, also when that is not kept any more."""

    def __init__(self, begin: float, rate: int) -> None:
        self.begin, self.rate = begin, rate
        self.first = self.length = 0
        """The first sample that is kept, and the one behind the last."""
        self.pages: deque[Pcm] = deque()
        self._page = max(round(PAGE * rate), 1)

    @property
    def end(self) -> float:
        return self.begin + self.length / self.rate

    @property
    def kept(self) -> float:
        """Seconds."""
        return (self.length - self.first) / self.rate

    def append(self, samples: Samples) -> None:
        pcm = np.clip(np.rint(samples * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
        while len(pcm):
            filled = (self.length - self.first) - (len(self.pages) - 1) * self._page if self.pages else self._page
            if filled == self._page:
                self.pages.append(np.empty(self._page, np.int16))
                filled = 0
            some = pcm[: self._page - filled]
            self.pages[-1][filled : filled + len(some)] = some
            self.length += len(some)
            pcm = pcm[len(some) :]

    def drop_page(self) -> None:
        """The oldest; every page but the last is full."""
        self.pages.popleft()
        self.first = min(self.first + self._page, self.length)

    def cut(self, begin: float, until: float) -> Cut | None:
        first = max(round((begin - self.begin) * self.rate), self.first)
        last = min(round((until - self.begin) * self.rate), self.length)
        if last <= first:
            return None
        parts = []
        for number in range((first - self.first) // self._page, (last - self.first - 1) // self._page + 1):
            at = self.first + number * self._page
            parts.append(self.pages[number][max(first - at, 0) : last - at])
        return Cut(self.begin + first / self.rate, self.rate, parts)


class Tape:
    """Of one source; holds `seconds` at least, and a page more at most."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._stretches: deque[_Stretch] = deque()

    @property
    def end(self) -> float:
        """Until when there is audio, in seconds since the epoch; minus infinity before there is any."""
        return self._stretches[-1].end if self._stretches else float("-inf")

    @property
    def kept(self) -> float:
        """Seconds of audio."""
        return sum(stretch.kept for stretch in self._stretches)

    def hear(self, epoch: float, samples: Samples, rate: int) -> None:
        """Mono samples (n,) from -1 to 1 at `rate` in Hz, of which the first was heard at `epoch`."""
        newest = self._stretches[-1] if self._stretches else None
        if newest is None or newest.rate != rate or abs(epoch - newest.end) > FOLLOWS:
            newest = _Stretch(epoch, rate)
            self._stretches.append(newest)
        newest.append(samples)
        self._forget()

    def cut(self, onset: float, begin: float, until: float) -> Cut | None:
        """What is kept from `begin` to `until` of the stretch in which a sound began at `onset`, all in seconds since
        the epoch; None if nothing is."""
        for stretch in reversed(self._stretches):
            if stretch.begin - FOLLOWS <= onset <= stretch.end + FOLLOWS:
                return stretch.cut(begin, until)
        return None

    def _forget(self) -> None:
        while len(self._stretches) > MOST_STRETCHES:
            self._stretches.popleft()
        while self.kept > self._seconds + PAGE:
            self._stretches[0].drop_page()
            if not self._stretches[0].pages:
                self._stretches.popleft()
