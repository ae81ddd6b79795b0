"""A recording as a picture: its spectrogram, in PNG (RFC 2083), grey, the lowest band below."""

import struct
import zlib
from pathlib import Path

import numpy as np
import soundfile

from asit_edge.errors import AsitEdgeError
from asit_edge.live.columns import Bands, Columns

LONGEST = 60.0
"""Seconds of a recording that are drawn."""

SCALE = 3
"""Points of the picture to one of the spectrogram, either way."""


def drawn(file: Path) -> tuple[Columns, Bands]:
    """The columns of a recording, and what made them. Raises AsitEdgeError where it cannot be read."""
    try:
        with soundfile.SoundFile(file) as opened:
            rate = opened.samplerate
            samples = opened.read(round(LONGEST * rate), dtype="float32", always_2d=True).mean(axis=1)
    except (soundfile.SoundFileError, OSError):
        raise AsitEdgeError("the clip cannot be read") from None
    columns = Columns(rate)
    return columns, columns.push(np.ascontiguousarray(samples))


def spectrogram(file: Path) -> bytes:
    """The picture. Raises AsitEdgeError where there is nothing that can be drawn."""
    _, columns = drawn(file)
    if not len(columns):
        raise AsitEdgeError("the clip is too short for a picture")
    return png(columns.T[::-1].repeat(SCALE, axis=0).repeat(SCALE, axis=1))


def png(grey: Bands) -> bytes:
    """Points (rows, columns), 0 black to 255 white."""
    height, width = grey.shape
    rows = np.zeros((height, width + 1), np.uint8)  # before each row: it is as it stands
    rows[:, 1:] = grey
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
