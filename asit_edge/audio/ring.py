"""The ring buffer between an audio callback and the listening loop: one writer, one reader, no locks.

Positions are sample counters that start at 0 and never wrap (Python integers), so a position means the same
sample for the whole life of a stream. The writer never waits. What it overwrites before it was read is not
silently skipped: the reader is told how many samples it lost.
"""

from typing import NamedTuple

import numpy as np

from asit_edge.audio.samples import Block

PAUSE = 1.0
"""Seconds without a block after which it has to be asked whether audio was lost."""


class Read(NamedTuple):
    """What `Ring.read` found: `lost` samples were overwritten unread, then `samples` start at `position`."""

    position: int
    samples: Block
    lost: int


class Ring:
    """Holds the last `capacity` samples of a stream with that many channels."""

    def __init__(self, capacity: int, channels: int = 1) -> None:
        if capacity < 1 or channels < 1:
            raise ValueError(f"capacity ({capacity}) and channels ({channels}) must be at least 1")
        self.capacity = capacity
        self.channels = channels
        self._data = np.zeros((capacity, channels), np.float32)
        self._read = 0
        # The writer announces how far it is going to write before it touches the buffer, and how far it has
        # written after: a reader that copies meanwhile can tell which of its samples may be torn.
        self._writing = 0
        self._written = 0
        self.last: tuple[int, float] = (0, 0.0)
        """How many samples had been written when the newest block came, and when that was (steady clock)."""
        self.pause: tuple[int, float] | None = None
        """The last time that nothing came for longer than `PAUSE`: which sample came after it, and when."""

    @property
    def written(self) -> int:
        """Samples written since the start of the stream."""
        return self._written

    @property
    def unread(self) -> int:
        """Samples written that the reader has not taken, lost ones included."""
        return self._written - self._read

    def write(self, block: Block, at: float = 0.0) -> None:
        """Appends samples (n, channels) that came at the steady time `at`. For the writer's thread only; copies and
        returns.
        """
        count = len(block)
        start = self._written
        self._writing = start + count
        if count > self.capacity:
            block = block[count - self.capacity :]
            start += count - self.capacity
            count = self.capacity
        place = start % self.capacity
        first = min(count, self.capacity - place)
        self._data[place : place + first] = block[:first]
        self._data[: count - first] = block[first:]
        written, before = self.last
        if at - before > PAUSE and written:
            self.pause = (written, at)
        self._written = self._writing
        self.last = (self._written, at)

    def skip(self, count: int) -> int:
        """Passes over up to `count` unread samples, oldest first, and says how many. For the reader's thread only."""
        count = min(count, self.unread)
        self._read += count
        return count

    def read(self, most: int) -> Read:
        """Takes up to `most` unread samples, oldest first. For the reader's thread only."""
        written = self._written
        start = max(self._read, written - self.capacity)
        count = min(most, written - start)
        at = start % self.capacity
        first = min(count, self.capacity - at)
        samples = np.concatenate((self._data[at : at + first], self._data[: count - first]))
        torn = min(max(self._writing - self.capacity - start, 0), count)
        lost = start - self._read + torn
        self._read = start + count
        return Read(start + torn, samples[torn:], lost)
