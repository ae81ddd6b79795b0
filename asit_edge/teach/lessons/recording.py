"""Takes recorded here and now, from any source that the listener could hear."""

import time
from collections.abc import Callable

import numpy as np
import soxr

from asit_edge.audio.downmix import Downmix
from asit_edge.audio.samples import Samples
from asit_edge.audio.sources.source import Source
from asit_edge.errors import AsitEdgeError

PATIENCE = 10.0
"""Seconds without any sample after which a source is taken for dead."""

POLL = 0.05


def record(source: Source, seconds: float, rate: int, begin: Callable[[], None]) -> Samples:
    """So many seconds from a source, at `rate` Hz; `begin` is called when the first samples come.

    Raises AsitEdgeError or WrongUse if it cannot be opened, gives nothing, or breaks off.
    """
    capture = source.open()
    try:
        downmix, parts, wanted = Downmix(capture.rate), list[Samples](), round(seconds * capture.rate)
        latest = time.monotonic() + PATIENCE
        while wanted > 0:
            read = capture.ring.read(capture.rate)
            if len(read.samples):
                if not parts:
                    begin()
                    latest = time.monotonic() + PATIENCE + seconds
                parts.append(downmix.mix(read.samples[:wanted]))
                wanted -= len(read.samples)
            elif capture.ended is not None or time.monotonic() > latest:
                why = capture.ended or f"nothing came for {PATIENCE:g} s"
                raise AsitEdgeError(f"source {source.name!r}: {why}")
            else:
                time.sleep(POLL)
        mono = np.concatenate(parts)
        resampled: Samples = soxr.resample(mono, capture.rate, rate).astype(np.float32)
        return resampled
    finally:
        capture.stop()
