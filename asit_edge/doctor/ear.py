"""A source that is listened to for a while, only to say how loud it is: opened in a thread that may hang."""

from typing import NamedTuple

import numpy as np

from asit_edge.audio.downmix import Downmix
from asit_edge.audio.level import FULL_SCALE, Flatness, Loudness, Meter
from asit_edge.audio.samples import Samples
from asit_edge.audio.sources.source import Capture, Source
from asit_edge.errors import AsitEdgeError
from asit_edge.listen.supervision.intake import checked
from asit_edge.listen.supervision.opening import Attempt, close_in_background

AT_ONCE = 1.0
"""Seconds of audio that are taken from a ring at a time."""


class Ear:
    """One source. Nothing here waits."""

    def __init__(self, source: Source) -> None:
        self.problem: AsitEdgeError | None = None
        """Why it cannot be opened, or broke off."""
        self._attempt = Attempt(source)
        self._capture: Capture | None = None
        self._downmix = Downmix(1)

    @property
    def rate(self) -> int | None:
        """In Hz; None until it is open."""
        return self._capture.rate if self._capture else None

    def take(self) -> Samples:
        """What has come since it was asked last, mixed to one channel; nothing while it is not open."""
        capture = self._open()
        if capture is None:
            return np.zeros(0, np.float32)
        block = capture.ring.read(round(AT_ONCE * capture.rate)).samples
        if not len(block):
            if capture.ended is not None and self.problem is None:
                self.problem = AsitEdgeError(capture.ended or "has come to its end")
            return np.zeros(0, np.float32)
        return self._downmix.mix(checked(block)[0])

    def close(self) -> None:
        self._attempt.abandon()
        if self._capture:
            close_in_background(self._capture)

    def _open(self) -> Capture | None:
        if self._capture is None and self.problem is None and self._attempt.done:
            try:
                self._capture = self._attempt.result()
                self._downmix = Downmix(self._capture.rate)
            except AsitEdgeError as error:
                self.problem = error
        return self._capture


class Impression(NamedTuple):
    """Of some seconds of a source."""

    seconds: float
    loudness: Loudness
    clipped: float
    """Share of samples at full scale."""
    flat: bool
    """Every sample was the same: what no microphone gives."""


def impression(samples: Samples, rate: int) -> Impression:
    """`samples` are not empty; `rate` in Hz."""
    flatness = Flatness()
    flatness.push(samples)
    [loudness] = Meter(len(samples)).push(samples)
    clipped = float((np.abs(samples) >= FULL_SCALE).mean())
    return Impression(len(samples) / rate, loudness, clipped, flatness.run == len(samples))
