"""WAV files as they are, not as their headers say: where the samples begin, how many there are, a better header.

Recorders that lose power leave a size of 0, programs that write into a pipe one of 0xFFFFFFFF; others leave out the
byte that pads an odd chunk, or go on writing behind the size that they have noted.
"""

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

from asit_edge.audio.sources.view import View

CHUNKS = frozenset(
    b"fmt |data|LIST|fact|bext|JUNK|junk|FLLR|PAD |iXML|axml|aXML|cue |smpl|inst|PEAK|id3 |ID3 |ds64|cart|acid|levl|"
    b"umid|chna|plst|DISP|afsp|minf|elm1|regn|SAUR|guan|wamd|_PMX|note|labl|slnt|wavl".split(b"|")
)
"""Names of chunks that programs write."""

NO_LENGTH = ((0x7FFFF000, 0x80000000), (0xFFFFF000, 0xFFFFFFFF))
"""Sizes (from, to) that programs write when they do not know yet how long it will be."""

SEARCHED = 1 << 20
"""Bytes in which the samples' chunk is searched for where the chunks before it are in disorder."""

LEAST_REST = 4096
"""Bytes behind the samples: fewer are passed over, more are samples too, unless they are chunks."""

EQUAL_SIZES = {1, 3, 6, 7}
"""Codes of formats in which every sample takes as many bytes: PCM, float, A-law, mu-law."""

EXTENSIBLE = 0xFFFE


@dataclass(frozen=True)
class Wav:
    """What is in a file. Sizes in bytes."""

    form: bytes
    """The contents of its chunk `fmt `."""
    data: int
    """Where the samples begin."""
    said: int | None
    """How many bytes of samples the header promises; None where it does not say."""
    there: int
    """How many there are."""

    @property
    def frame(self) -> int | None:
        """Bytes of one sample of all channels; None where that is not fixed."""
        code, align = struct.unpack("<H10xH", self.form[:14])
        if code == EXTENSIBLE and len(self.form) >= 26:
            code = struct.unpack("<H", self.form[24:26])[0]
        return align if code in EQUAL_SIZES and align else None

    def seconds(self, size: int) -> float:
        """How long so many bytes of samples last, about so where samples are packed."""
        return size / max(struct.unpack("<I", self.form[8:12])[0], 1)

    def repaired(self, file: BinaryIO) -> "Spliced":
        """The same samples behind a header that is right."""
        form = b"fmt " + struct.pack("<I", len(self.form)) + self.form + b"\0" * (len(self.form) % 2)
        size = 4 + len(form) + 8 + self.there
        if size < 1 << 32:
            head = b"RIFF" + struct.pack("<I", size) + b"WAVE" + form + b"data" + struct.pack("<I", self.there)
        else:
            sizes = b"ds64" + struct.pack("<IQQQI", 28, size + 36, self.there, 0, 0)
            head = b"RF64\xff\xff\xff\xffWAVE" + sizes + form + b"data\xff\xff\xff\xff"
        return Spliced(head, file, self.data, self.there)


def examine(file: BinaryIO) -> Wav | None:
    """What is in an open file; None if it is not WAV, or its format or samples are not found."""
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:] != b"WAVE":
        return None
    form, long_size = b"", None
    at = 12
    while at + 8 <= end:
        name, size = _chunk(file, at)
        if name == b"data":
            return _wav(file, form, at + 8, size, long_size, end) if len(form) >= 14 else None
        if name == b"fmt ":
            form = file.read(min(size, 4096))
        elif name == b"ds64":
            sizes = file.read(16)
            long_size = struct.unpack("<Q", sizes[8:])[0] if len(sizes) == 16 else None
        following = _next(file, at + 8 + size, end)
        if following is None:
            following = _search(file, at + 8)
        if following is None:
            return None
        at = following
    return None


def _chunk(file: BinaryIO, at: int) -> tuple[bytes, int]:
    """Name and size of the chunk there; a name of no bytes at the end of the file."""
    file.seek(at)
    head = file.read(8)
    return (head[:4], struct.unpack("<I", head[4:])[0]) if len(head) == 8 else (b"", 0)


def _next(file: BinaryIO, at: int, end: int) -> int | None:
    """Where the chunk begins that follows one which ends at `at`: chunks of odd size should be padded, not all are."""
    padded = at + at % 2
    for place in (padded, at):
        if _chunk(file, place)[0] in CHUNKS:
            return place
    name, size = _chunk(file, padded)
    return padded if _is_name(name) and padded + 8 + size <= end else None


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= letter < 0x7F for letter in name)


def _search(file: BinaryIO, at: int) -> int | None:
    """Where the samples' chunk begins, by its name alone."""
    file.seek(at)
    found = file.read(SEARCHED).find(b"data")
    return None if found < 0 else at + found


def _wav(file: BinaryIO, form: bytes, data: int, size: int, long_size: int | None, end: int) -> Wav:
    if size == 0xFFFFFFFF and long_size is not None:
        said: int | None = long_size if 0 < long_size < 1 << 62 else None
    else:
        said = None if any(least <= size <= most for least, most in NO_LENGTH) else size
    if said is None or data + said > end:
        return Wav(form, data, said, end - data)
    rest = end - data - said
    if (said and rest < LEAST_REST) or _are_chunks(file, data + said, end):
        return Wav(form, data, said, said)
    return Wav(form, data, said, end - data)


def _are_chunks(file: BinaryIO, at: int, end: int) -> bool:
    """Whether what follows the samples is chunks, up to the end of the file; the last may be cut off, or a tag."""
    at += at % 2
    while at + 8 <= end:
        name, size = _chunk(file, at)
        if name[:3] in (b"TAG", b"ID3"):
            return True
        if name not in CHUNKS and not (_is_name(name) and at + 8 + size <= end):
            return False
        at += 8 + size + size % 2
    return True


class Spliced(View):
    """A file that is read as `head` and then `size` bytes of another from `start` on."""

    def __init__(self, head: bytes, file: BinaryIO, start: int, size: int) -> None:
        self._head, self._file, self._start = head, file, start
        super().__init__(len(head) + size)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), self.length - self.at)
        if wanted <= 0:
            return 0
        piece = self._head[self.at : self.at + wanted]
        if len(piece) < wanted:
            self._file.seek(self._start + self.at + len(piece) - len(self._head))
            piece += self._file.read(wanted - len(piece))
        buffer[: len(piece)] = piece
        self.at += len(piece)
        return len(piece)
