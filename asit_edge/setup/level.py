"""A source that is listened to for a moment, and what its level says: silent, too quiet, clipping or good."""

import time
from typing import Literal, NamedTuple

import numpy as np

from asit_edge.audio.downmix import Downmix
from asit_edge.audio.level import CLIPPED_SHARE, FULL_SCALE, Flatness, Meter
from asit_edge.audio.samples import Samples
from asit_edge.audio.sources.source import Source
from asit_edge.errors import AsitEdgeError
from asit_edge.listen.supervision.opening import Attempt, close_in_background

SECONDS = 2.0

PATIENCE = 10.0
"""Seconds that a source gets beyond that until it has delivered them."""

QUIET = -75.0
"""dBFS: below, even a quiet room is hardly above what a microphone makes of nothing."""

REST = 0.02

Verdict = Literal["silent", "too quiet", "clipping", "good"]


class Level(NamedTuple):
    verdict: Verdict
    dbfs: float
    peak_dbfs: float

    @property
    def good(self) -> bool:
        return self.verdict == "good"

    @property
    def sentence(self) -> str:
        """What it means, and what helps."""
        level = f"{self.dbfs:.0f} dBFS, peak {self.peak_dbfs:.0f}"
        if self.verdict == "silent":
            return "silent: every sample is the same; is it switched off, or muted?"
        if self.verdict == "too quiet":
            return (
                f"too quiet ({level}): faint and distant sounds will be missed; is its volume up, is it the right one?"
            )
        if self.verdict == "clipping":
            return f"clipping ({level}): loud sounds are cut off; turn its volume down"
        return f"good ({level})"


def level_of(samples: Samples, rate: int) -> Level:
    """`samples` of one channel, not empty; `rate` in Hz."""
    flatness = Flatness()
    flatness.push(samples)
    [loudness] = Meter(len(samples)).push(samples)
    verdict: Verdict = "good"
    if flatness.run == len(samples):
        verdict = "silent"
    elif float((np.abs(samples) >= FULL_SCALE).mean()) > CLIPPED_SHARE:
        verdict = "clipping"
    elif loudness.dbfs < QUIET:
        verdict = "too quiet"
    return Level(verdict, loudness.dbfs, loudness.peak_dbfs)


def listen_to(source: Source, seconds: float = SECONDS) -> Level:
    """Its level over so many seconds of audio. Raises AsitEdgeError where it cannot be heard."""
    deadline = time.monotonic() + seconds + PATIENCE
    attempt = Attempt(source)
    try:
        while not attempt.done:
            _rest(deadline, source.name)
    except AsitEdgeError:
        attempt.abandon()
        raise
    capture = attempt.result()
    try:
        wanted = round(seconds * capture.rate)
        while (capture.ended is None) and capture.ring.written < wanted:
            _rest(deadline, source.name)
        block = capture.ring.read(wanted).samples
        if not len(block):
            raise AsitEdgeError(f"{source.name}: {capture.ended or 'nothing comes of it'}")
        return level_of(Downmix(capture.rate).mix(block), capture.rate)
    finally:
        close_in_background(capture)


def _rest(deadline: float, name: str) -> None:
    if time.monotonic() > deadline:
        raise AsitEdgeError(f"{name}: nothing has come within {SECONDS + PATIENCE:.0f} s")
    time.sleep(REST)
