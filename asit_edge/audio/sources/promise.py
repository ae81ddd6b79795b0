"""How long a file says that it is, and whether its end is there: libsndfile mostly tells only what it finds."""

import io
import struct
from typing import BinaryIO

from asit_edge.audio.sources.view import View

OGG_PAGE = 65_307
"""Bytes of the longest page of Ogg."""

MPEG_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Hz by version of MPEG as it is written in a frame: 1, 2, 2.5."""

KBITS = {
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Of layer III, of MPEG 1 or else 2 and 2.5."""

TAIL = 1 << 14
"""Bytes at the end of an MP3 file in which its frames are followed."""


def aiff_frames(file: BinaryIO) -> int | None:
    """Frames of samples that an AIFF file promises; None if it is not one."""
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"FORM" or head[8:] not in (b"AIFF", b"AIFC"):
        return None
    at = 12
    for _ in range(100):
        file.seek(at)
        chunk = file.read(14)
        if len(chunk) < 14:
            return None
        if chunk[:4] == b"COMM":
            return struct.unpack(">I", chunk[10:14])[0]
        size = struct.unpack(">I", chunk[4:8])[0]
        at += 8 + size + size % 2
    return None


def au_bytes(file: BinaryIO) -> int | None:
    """Bytes of samples that an AU file promises; None where it does not say."""
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] not in (b".snd", b"dns."):
        return None
    size = struct.unpack(">I" if head[:4] == b".snd" else "<I", head[8:])[0]
    return None if size == 0xFFFFFFFF else size


def w64_bytes(file: BinaryIO) -> int | None:
    """Bytes of samples that a Wave64 file promises; None where that is not found."""
    end = file.seek(0, io.SEEK_END)
    at = 40
    while at < end:
        file.seek(at)
        chunk = file.read(24)
        if len(chunk) < 24:
            return None
        size = struct.unpack("<Q", chunk[16:])[0]
        if chunk[:4] == b"data":
            return size - 24
        at += max(size + 7 & ~7, 24)
    return None


def caf_is_cut(file: BinaryIO) -> bool:
    """Whether a chunk of a CAF file is longer than what is there."""
    end = file.seek(0, io.SEEK_END)
    at = 8
    while at < end:
        file.seek(at)
        chunk = file.read(12)
        if len(chunk) < 12:
            return True
        at += 12 + max(struct.unpack(">q", chunk[4:])[0], 0)
    return at > end


def ogg_is_whole(file: BinaryIO) -> bool:
    """Whether the last page of an Ogg file is there and says that it is the last."""
    end = file.seek(0, io.SEEK_END)
    file.seek(max(end - 2 * OGG_PAGE, 0))
    tail = file.read()
    at = tail.rfind(b"OggS\0")
    if at < 0 or len(tail) < at + 27:
        return False
    segments = tail[at + 27 : at + 27 + tail[at + 26]]
    whole = len(segments) == tail[at + 26] and len(tail) >= at + 27 + len(segments) + sum(segments)
    return whole and bool(tail[at + 5] & 4)


def mp3_says_its_length(file: BinaryIO) -> bool:
    """Whether an MP3 file begins with a frame that says how many there are (Xing, Info, VBRI)."""
    file.seek(0)
    head = file.read(10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        start = 10 + sum((head[6 + place] & 0x7F) << (7 * (3 - place)) for place in range(4))
    file.seek(start)
    first = file.read(4096)
    for name, least in ((b"Xing", 8), (b"Info", 8), (b"VBRI", 18)):
        at = first.find(name)
        if at >= 0 and len(first) >= at + least:
            return name == b"VBRI" or bool(first[at + 7] & 1)
    return False


def mp3_is_cut(file: BinaryIO) -> bool:
    """Whether the last frame of an MP3 file is longer than what is there."""
    end = file.seek(0, io.SEEK_END)
    file.seek(max(end - TAIL, 0))
    tail = file.read()
    for start in range(max(len(tail) - 4, 0)):
        at, count, kind = start, 0, None
        while at + 4 <= len(tail):
            frame = _mpeg_frame(tail[at : at + 4])
            if frame is None or kind not in (None, frame[0]):
                break
            kind = frame[0]
            at, count = at + frame[1], count + 1
        if count >= 4:
            return at != len(tail) and at + 4 > len(tail)
    return False


class Lengthened(View):
    """A file that says that it is much longer than it is.

    libmpg123 estimates the length of an MP3 from its size and its first frame, and libsndfile reads no further. Where
    it looks for a tag at the end, it finds zeros; who reads on from the beginning comes to the real end.
    """

    FACTOR = 64

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = file.seek(0, io.SEEK_END)
        super().__init__(self.FACTOR * self._end)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self.at > self._end:
            data = bytes(len(buffer))
        else:
            self._file.seek(self.at)
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self.at += len(data)
        return len(data)


def _mpeg_frame(head: bytes) -> tuple[int, int] | None:
    """What does not change from frame to frame, and the length of the frame of layer III in bytes."""
    if head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, bits, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or bits in (0, 15) or rate == 3:
        return None
    samples = 144_000 if version == 3 else 72_000
    length = samples * KBITS[version == 3][bits - 1] // MPEG_RATES[version][rate] + (head[2] >> 1 & 1)
    return version << 2 | rate, length
