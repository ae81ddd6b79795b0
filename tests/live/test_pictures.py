"""Pictures of recordings: what a reader of PNG sees in them."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asit_edge.errors import AsitEdgeError
from asit_edge.live.pictures import SCALE, png, spectrogram
from tests.conftest import RATE, tones


def read(picture: bytes) -> np.ndarray:
    """Points of a grey PNG without filters, its check sums checked."""
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    at, parts = 8, {}
    while at < len(picture):
        (size,) = struct.unpack(">I", picture[at : at + 4])
        kind, data = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + size]
        assert struct.unpack(">I", picture[at + 8 + size : at + 12 + size]) == (zlib.crc32(kind + data),)
        parts[kind], at = data, at + 12 + size
    width, height, bits, colour = struct.unpack(">IIBB", parts[b"IHDR"][:10])
    assert (bits, colour) == (8, 0)
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:]


def test_a_picture_has_the_points_that_it_was_given() -> None:
    points = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert (read(png(points)) == points).all()


def test_time_goes_to_the_right_and_high_tones_are_above(tmp_path: Path) -> None:
    file = tmp_path / "a.flac"
    soundfile.write(file, tones((500, 2), (3000, 2)), RATE)
    points = read(spectrogram(file)).astype(float)
    height, width = points.shape
    assert (height, width) == (64 * SCALE, pytest.approx(4 * 20 * SCALE, abs=2 * SCALE))
    low, high = (points[:, column].argmax() for column in (width // 4, 3 * width // 4))
    assert low > height / 2 > high


@pytest.mark.parametrize("content", [b"", b"no sound"])
def test_what_is_no_recording_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.flac"
    file.write_bytes(content)
    with pytest.raises(AsitEdgeError, match="cannot be read"):
        spectrogram(file)
    with pytest.raises(AsitEdgeError, match="cannot be read"):
        spectrogram(tmp_path / "b.flac")


def test_what_is_too_short_has_no_picture(tmp_path: Path) -> None:
    file = tmp_path / "a.flac"
    soundfile.write(file, np.zeros(10, np.float32), RATE)
    with pytest.raises(AsitEdgeError, match="too short"):
        spectrogram(file)
