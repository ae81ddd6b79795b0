"""Sound inside a page: FLAC as data addresses, of bounded size."""

import base64
import io
from dataclasses import dataclass

import numpy as np
import soundfile

from asit_edge.audio.samples import Samples

LONGEST = 60.0
"""Seconds of a recording that can be played."""

MOST_BYTES = 12_000_000
"""Of sound in a page, before it is written as text, which takes a third more."""


@dataclass(frozen=True)
class Player:
    """A data address, or "" with why there is none; `note` also where it is not all of it."""

    source: str = ""
    note: str = ""


class Players:
    """Of one page."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._used = most_bytes, 0

    def player(self, samples: Samples, rate: int) -> Player:
        """Mono samples from -1 to 1 at `rate` Hz; what comes after the page is full cannot be played."""
        kept = samples[: round(LONGEST * rate)]
        data = io.BytesIO()
        soundfile.write(data, np.clip(kept, -1.0, 1.0), rate, format="FLAC", subtype="PCM_16")
        content = data.getvalue()
        if self._used + len(content) > self._most:
            return Player(note=f"cannot be played here: the page has {self._most / 1e6:g} MB of sound already")
        self._used += len(content)
        note = f"the first {LONGEST:g} s can be played" if len(kept) < len(samples) else ""
        return Player(f"data:audio/flac;base64,{base64.b64encode(content).decode()}", note)
