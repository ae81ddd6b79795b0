"""Audio files: any format of libsndfile, in blocks, checked for samples that are no numbers."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from asit_edge.audio.clock import steady
from asit_edge.audio.level import CLIPPED_SHARE, FULL_SCALE
from asit_edge.audio.ring import Ring
from asit_edge.audio.samples import Block
from asit_edge.errors import AsitEdgeError, WrongUse, one_line

log = logging.getLogger(__name__)

RING_SECONDS = 10
"""What may pile up while the machine is busy; then the file waits."""

FORMATS = "WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF"


class AudioFile:
    """An open audio file."""

    def __init__(self, path: Path) -> None:
        """Raises WrongUse if there is no such file, AsitEdgeError if it is not audio or is empty."""
        self.path = path
        if path.is_dir():
            raise WrongUse(f"{path}: is a directory; name an audio file")
        if not path.exists():
            raise WrongUse(f"{path}: no such file")
        try:
            if path.stat().st_size == 0:
                raise AsitEdgeError(f"{path}: the file is empty (0 bytes)")
            self._file = soundfile.SoundFile(str(path))
        except OSError as error:
            raise AsitEdgeError(f"{path}: cannot be read ({error.strerror or one_line(error)})") from None
        except soundfile.SoundFileError as error:
            raise AsitEdgeError(
                f"{path}: not audio in a supported format ({FORMATS}); "
                f"convert it with: ffmpeg -i {path.name} {path.stem}.wav ({one_line(error)})"
            ) from None
        self.rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        if self._file.frames == 0:
            raise AsitEdgeError(f"{path}: contains no audio (0 samples)")

    def blocks(self, size: int) -> Iterator[Block]:
        """The file's samples as blocks (up to `size`, channels).

        Warns of a clipped recording. Raises AsitEdgeError where the file is damaged or has samples that are not
        numbers, saying where.
        """
        position = clipped = 0
        while True:
            try:
                block: Block = self._file.read(size, dtype="float32", always_2d=True)
            except (OSError, soundfile.SoundFileError) as error:
                raise AsitEdgeError(
                    f"{self.path}: damaged after {position / self.rate:.3f} s ({one_line(error)})"
                ) from None
            if not len(block):
                break
            finite = np.isfinite(block).all(axis=1)
            if not finite.all():
                first = position + int(np.argmin(finite))
                raise AsitEdgeError(
                    f"{self.path}: samples that are not numbers (NaN or infinite), first at {first / self.rate:.3f} s; "
                    "write the file again as 16-bit PCM"
                )
            clipped += int((np.abs(block) >= FULL_SCALE).any(axis=1).sum())
            yield block
            position += len(block)
        if position == 0:
            raise AsitEdgeError(f"{self.path}: contains no audio (0 samples)")
        if clipped > CLIPPED_SHARE * position:
            log.warning("%s: clipped, %.1f %% of its samples are at full scale", self.path, 100 * clipped / position)

    def close(self) -> None:
        self._file.close()


class AudioFileSource:
    """A file that arrives as if it were heard now, once."""

    live = False
    longest_pause = None

    def __init__(self, name: str, path: Path) -> None:
        """Raises WrongUse or AsitEdgeError where there is no such audio."""
        self.name = name
        self._audio = AudioFile(path)

    def open(self) -> "FileCapture":
        return FileCapture(self.name, self._audio)


class FileCapture:
    """A file being played."""

    def __init__(self, name: str, audio: AudioFile) -> None:
        self._audio = audio
        self.rate = audio.rate
        self.ring = Ring(RING_SECONDS * self.rate, audio.channels)
        self._thread = threading.Thread(target=self._feed, name=f"file-{name}", daemon=True)
        self._stopping = threading.Event()
        self.ended: str | None = None
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)
        self._audio.close()

    def _feed(self) -> None:
        size = max(self.rate // 50, 1)
        begin = steady()
        try:
            for block in self._audio.blocks(size):
                heard_at = begin + (self.ring.written + len(block)) / self.rate
                if self._stopping.wait(max(heard_at - steady(), 0)):
                    break
                while self.ring.unread + len(block) > self.ring.capacity and not self._stopping.wait(0.05):
                    pass  # whoever listens is behind: a file can wait
                self.ring.write(block, steady())
        except AsitEdgeError as error:
            self.ended = str(error)
        else:
            self.ended = ""
