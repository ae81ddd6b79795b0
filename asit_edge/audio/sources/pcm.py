"""Raw PCM from a pipe, as ffmpeg or standard input deliver it: decoded, paced, written into a ring.

Nothing is read faster than it can have been heard (but for a few seconds that a live source may catch up), so a
recording that is piped in arrives as if it were heard now, and the ring cannot be overrun by an eager writer.
"""

import os
import select
import threading
from collections.abc import Callable
from typing import Literal

import numpy as np

from asit_edge.audio.clock import steady
from asit_edge.audio.ring import Ring
from asit_edge.audio.samples import Block

Format = Literal["s16le", "s32le", "f32le", "u8"]

_TYPES: dict[str, tuple[str, float, float]] = {
    "s16le": ("<i2", 0.0, 2.0**-15),
    "s32le": ("<i4", 0.0, 2.0**-31),
    "f32le": ("<f4", 0.0, 1.0),
    "u8": ("u1", -128.0, 2.0**-7),
}

RING_SECONDS = 30
CATCH_UP = 5.0
"""Seconds by which a pipe may run ahead of the time that has passed."""


def decode(data: bytes, channels: int, form: Format) -> Block:
    """Whole frames of interleaved samples to floats from -1 to 1, shape (n, channels)."""
    kind, offset, scale = _TYPES[form]
    samples = np.frombuffer(data, kind).astype(np.float32)
    return ((samples + np.float32(offset)) * np.float32(scale)).reshape(-1, channels)


def frame_size(channels: int, form: Format) -> int:
    """Bytes of one sample of all channels."""
    return channels * np.dtype(_TYPES[form][0]).itemsize


class PipeReader:
    """Reads a file descriptor into a ring in a thread of its own, until its end or `stop`."""

    def __init__(self, descriptor: int, rate: int, channels: int, form: Format, on_end: Callable[[], str]) -> None:
        """`on_end` is asked at the end of the pipe: "" if the audio is complete, or else why it broke off."""
        self.rate = rate
        self.ring = Ring(RING_SECONDS * rate, channels)
        self.ended: str | None = None
        self._descriptor = descriptor
        self._form: Format = form
        self._on_end = on_end
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, name="pcm-reader", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=2)

    def _read(self) -> None:
        size = frame_size(self.ring.channels, self._form)
        rest = b""
        begin: float | None = None
        while not self._stopping.is_set():
            if not select.select([self._descriptor], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(self._descriptor, max(self.rate // 50, 1) * size)
            except OSError as error:
                self.ended = f"cannot be read ({error.strerror})"
                return
            if not data:
                self.ended = self._on_end()
                return
            data = rest + data
            whole = len(data) // size * size
            rest = data[whole:]
            block = decode(data[:whole], self.ring.channels, self._form)
            now = steady()
            begin = now if begin is None else begin
            self.ring.write(block, now)
            ahead = self.ring.written / self.rate - (now - begin)
            if ahead > CATCH_UP and self._stopping.wait(ahead - CATCH_UP):
                return
