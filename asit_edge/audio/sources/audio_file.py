"""Audio files: what libsndfile or ffmpeg reads, in blocks, as it really is; what is odd about one is said once."""

import logging
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from asit_edge.audio.clock import steady
from asit_edge.audio.downmix import Downmix
from asit_edge.audio.level import CLIPPED_SHARE, FULL_SCALE, LOUDEST
from asit_edge.audio.ring import Ring
from asit_edge.audio.samples import Block, Samples
from asit_edge.audio.sources.decoder import Damaged, Decoder, Refused, SoundFileDecoder
from asit_edge.audio.sources.ffmpeg_decoder import FfmpegDecoder, ffmpeg
from asit_edge.errors import AsitEdgeError, WrongUse, for_shell, one_line

log = logging.getLogger(__name__)

RING_SECONDS = 10
"""What may pile up while the machine is busy; then the file waits."""

RATES, MOST_CHANNELS = (500, 2_000_000), 64
"""Hz and channels of what can be heard; other numbers are a damaged header's."""

MOST_VALUES = 1 << 22
"""Samples of all channels in a block, whatever is asked for."""

FORMATS = "WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF"


class AudioFile:
    """An open audio file."""

    def __init__(self, path: Path) -> None:
        """Raises WrongUse if there is no such file, AsitEdgeError if it is not audio or is empty."""
        self.path = path
        self._raw = _open(path)
        try:
            if self._raw.seek(0, os.SEEK_END) == 0:
                raise AsitEdgeError(f"{path}: the file is empty (0 bytes)")
            self._decoder = _decoder(path, self._raw)
        except OSError as error:
            self._raw.close()
            raise AsitEdgeError(f"{path}: cannot be read ({error.strerror or one_line(error)})") from None
        except AsitEdgeError:
            self._raw.close()
            raise
        self.rate: int = self._decoder.rate
        self.channels: int = self._decoder.channels
        if not RATES[0] <= self.rate <= RATES[1] or not 1 <= self.channels <= MOST_CHANNELS:
            self.close()
            raise AsitEdgeError(
                f"{path}: its header says {self.rate} Hz and {self.channels} channels; "
                f"from {RATES[0]} to {RATES[1]} Hz and up to {MOST_CHANNELS} channels can be heard"
            )

    def blocks(self, size: int) -> Iterator[Block]:
        """The file's samples as blocks (up to `size`, channels).

        Says when it is over what was odd: a wrong header, an end that is missing, samples at or far beyond full scale.
        Raises AsitEdgeError where the file is damaged or has samples that are not numbers, saying where.
        """
        position = clipped = beyond = 0
        size = max(min(size, MOST_VALUES // self.channels), 1)
        while True:
            try:
                block = self._decoder.read(size)
            except (Damaged, OSError) as error:
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
            level = np.abs(block)
            clipped += int((level >= FULL_SCALE).any(axis=1).sum())
            if float(level.max()) > LOUDEST:
                beyond += int((level > LOUDEST).any(axis=1).sum())
                block = np.clip(block, -LOUDEST, LOUDEST)
            yield block
            position += len(block)
        if position == 0:
            why = "".join(f"; it {remark}" for remark in self._decoder.remarks(0))
            raise AsitEdgeError(f"{self.path}: contains no audio (0 samples){why}")
        for remark in self._decoder.remarks(position):
            log.warning("%s: %s", self.path, remark)
        if beyond:
            log.warning(
                "%s: %d samples are beyond %g times full scale, which no microphone gives; they were limited to that",
                *(self.path, beyond, LOUDEST),
            )
        if clipped > CLIPPED_SHARE * position:
            log.warning("%s: clipped, %.1f %% of its samples are at full scale", self.path, 100 * clipped / position)

    def mono(self, size: int) -> Iterator[Samples]:
        """The same, mixed to one channel; says once if that is not the mean of all."""
        downmix = Downmix(self.rate)
        for block in self.blocks(size):
            samples = downmix.mix(block)
            for news in downmix.news():
                log.warning("%s: %s", self.path, news)
            yield samples

    def close(self) -> None:
        self._decoder.close()
        self._raw.close()


def _open(path: Path) -> BinaryIO:
    """Raises WrongUse if there is nothing there that is read to an end, AsitEdgeError if it cannot be opened."""
    try:
        kind = os.stat(path).st_mode
        if stat.S_ISDIR(kind):
            raise WrongUse(f"{path}: is a directory; name an audio file")
        if stat.S_ISFIFO(kind):
            raise WrongUse(
                f"{path}: is a pipe, not a file; save what comes from it to a file, "
                f"or if it is raw samples: asit-edge listen --stdin < {for_shell(path)}"
            )
        if not stat.S_ISREG(kind):
            raise WrongUse(f"{path}: is a device or a socket, not a file; name an audio file")
        return open(path, "rb", buffering=0)
    except (FileNotFoundError, NotADirectoryError):
        raise WrongUse(f"{path}: no such file") from None
    except ValueError:  # a NUL in the name
        raise WrongUse(f"{path}: no file can have such a name") from None
    except OSError as error:
        raise AsitEdgeError(f"{path}: cannot be read ({error.strerror or one_line(error)})") from None


def _decoder(path: Path, raw: BinaryIO) -> Decoder:
    """libsndfile, or what ffmpeg makes of a file that it refuses. Raises AsitEdgeError if that is nothing either."""
    try:
        return SoundFileDecoder(raw)
    except Refused as error:
        why = one_line(error)
    program = ffmpeg()
    if program is None:
        made = path.with_name(f"{path.stem}-converted.wav")
        raise AsitEdgeError(
            f"{path}: not audio in a supported format ({FORMATS}; {why}). ffmpeg knows more and is not installed: "
            f"apt install ffmpeg, or where there is one: ffmpeg -i {for_shell(path)} {for_shell(made)}"
        )
    try:
        return FfmpegDecoder(path, raw, program)
    except Refused as error:
        raise AsitEdgeError(
            f"{path}: not audio in a supported format ({FORMATS}, or what ffmpeg knows): {error}"
        ) from None


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
