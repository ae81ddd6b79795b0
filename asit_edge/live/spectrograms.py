"""The spectrogram of every source, while somebody looks: in a thread of its own, which ends when nobody does."""

import base64
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from asit_edge.audio.samples import Samples
from asit_edge.live.columns import BANDS, Bands, Columns

log = logging.getLogger(__name__)

EVERY = 0.1
"""Seconds between looks at what was heard."""

MOST_WAITING = 200
"""Blocks of audio that wait for it at most; the oldest go."""

JUMP = 0.2
"""Seconds by which a block may come at another time than expected, and still follow on."""


class _Heard(NamedTuple):
    source: str
    epoch: float
    samples: Samples
    rate: int


class _Stream:
    """Where the spectrogram of one source is."""

    def __init__(self, rate: int, epoch: float) -> None:
        self.columns = Columns(rate)
        self.begin = epoch
        """Of the next column, seconds since the epoch."""
        self.expected = epoch


class Spectrograms:
    """Tells `tell(data)` about every stretch of columns, in its own thread."""

    def __init__(self, tell: Callable[[dict[str, object]], None]) -> None:
        self._tell = tell
        self._waiting: deque[_Heard] = deque(maxlen=MOST_WAITING)
        self._lock = threading.Lock()
        self._watchers = 0
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def watched(self) -> bool:
        return self._watchers > 0

    def watch(self) -> None:
        """One more looks."""
        with self._lock:
            self._watchers += 1
            if self._thread is None:
                self._wake.clear()
                self._thread = threading.Thread(target=self._run, args=(self._wake,), name="spectrogram", daemon=True)
                self._thread.start()

    def leave(self) -> None:
        """One does not look any more."""
        with self._lock:
            self._watchers -= 1
            if not self._watchers:
                self._wake.set()
                self._wake, self._thread = threading.Event(), None
                self._waiting.clear()

    def heard(self, source: str, epoch: float, samples: Samples, rate: int) -> None:
        """In the listening's thread. The samples are copied: they may be a part of a ring."""
        if self._watchers:
            self._waiting.append(_Heard(source, epoch, samples.copy(), rate))

    def _run(self, over: threading.Event) -> None:
        streams: dict[str, _Stream] = {}
        while not over.wait(EVERY):
            blocks: dict[str, list[_Heard]] = {}
            while self._waiting and not over.is_set():
                try:
                    one = self._waiting.popleft()
                except IndexError:  # somebody else has emptied it
                    break
                blocks.setdefault(one.source, []).append(one)
            for source, heard in blocks.items():
                try:
                    self._draw(source, heard, streams)
                except Exception:
                    log.exception("%s: no spectrogram", source)
                    streams.pop(source, None)

    def _draw(self, source: str, heard: list[_Heard], streams: dict[str, _Stream]) -> None:
        found: list[Bands] = []
        for one in heard:
            stream = streams.get(source)
            if stream is None or stream.columns.rate != one.rate or abs(one.epoch - stream.expected) > JUMP:
                self._say(source, stream, found)
                found, stream = [], _Stream(one.rate, one.epoch)
                streams[source] = stream
            stream.expected = one.epoch + len(one.samples) / one.rate
            found.append(stream.columns.push(one.samples))
        self._say(source, streams[source], found)

    def _say(self, source: str, stream: _Stream | None, found: list[Bands]) -> None:
        count = sum(map(len, found))
        if stream is None or not count:
            return
        step = stream.columns.hop / stream.columns.rate
        data = base64.b64encode(np.concatenate(found).tobytes()).decode("ascii")
        told = {"source": source, "epoch": round(stream.begin, 3), "step": step, "highest": stream.columns.highest}
        self._tell({**told, "bands": BANDS, "data": data})
        stream.begin += count * step
