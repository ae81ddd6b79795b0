"""A source that is listened to for a moment, and what its level says: silent, too quiet, clipping or good."""

import time
from typing import Literal, NamedTuple

import numpy as np

from asit_edge.audio.level import CLIPPED_SHARE
from asit_edge.audio.samples import Samples
from asit_edge.audio.sources.source import Source
from asit_edge.doctor.checks.sources import QUIET
from asit_edge.doctor.ear import Ear, impression
from asit_edge.errors import AsitEdgeError

SECONDS = 2.0

PATIENCE = 10.0
"""Seconds that a source gets beyond that until it has delivered them."""

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
    found = impression(samples, rate)
    verdict: Verdict = "good"
    if found.flat:
        verdict = "silent"
    elif found.clipped > CLIPPED_SHARE:
        verdict = "clipping"
    elif found.loudness.dbfs < QUIET:
        verdict = "too quiet"
    return Level(verdict, found.loudness.dbfs, found.loudness.peak_dbfs)


def listen_to(source: Source, seconds: float = SECONDS) -> Level:
    """Its level over so many seconds of audio. Raises AsitEdgeError where it cannot be heard."""
    deadline = time.monotonic() + seconds + PATIENCE
    ear, heard = Ear(source), list[Samples]()
    try:
        while ear.rate is None or sum(map(len, heard)) < seconds * ear.rate:
            if len(block := ear.take()):
                heard.append(block)
            elif ear.problem:
                raise ear.problem
            elif time.monotonic() > deadline:
                raise AsitEdgeError(f"{source.name}: nothing has come within {seconds + PATIENCE:.0f} s")
            else:
                time.sleep(REST)
        return level_of(np.concatenate(heard), ear.rate)
    finally:
        ear.close()
