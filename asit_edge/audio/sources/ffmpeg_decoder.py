"""An audio file to samples, by ffmpeg in a child process: what libsndfile does not know (m4a, wma, webm, video)."""

import re
import shutil
import struct
import subprocess
import threading
from pathlib import Path
from typing import BinaryIO

import numpy as np

from asit_edge.audio.samples import Block
from asit_edge.audio.sources import promise
from asit_edge.audio.sources.decoder import Damaged, Refused
from asit_edge.host import children

TELLS_LENGTH = ("mov,", "matroska,", "asf", "flac", "caf", "ape", "tta", "wv")
"""Formats, by the beginning of ffmpeg's name, that say how long they are rather than let it be estimated."""

SLACK = 0.5
"""Seconds that a file may be shorter than it says: encoders add to both ends."""

MOST_LINES = 10_000
"""Lines of ffmpeg's that are looked at; more are passed over."""


def ffmpeg() -> str | None:
    """The program, if it is installed."""
    return shutil.which("ffmpeg")


class FfmpegDecoder:
    """Implements `Decoder`."""

    def __init__(self, path: Path, raw: BinaryIO, program: str) -> None:
        """`raw` is the file, opened. Raises Refused if ffmpeg finds no audio in it."""
        self._raw = raw
        self._talk = _Talk()
        place = path if path.is_absolute() else Path.cwd() / path
        try:
            self._process = children.start(
                [
                    *[program, "-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"],
                    # A playlist that calls itself a recording opens no address.
                    *["-protocol_whitelist", "file", "-i", f"file:{place}", "-map", "0:a:0", "-vn", "-sn", "-dn"],
                    *["-map_metadata", "-1", "-c:a", "pcm_f32le", "-f", "wav", "pipe:1"],
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise Refused(f"ffmpeg cannot be started: {error.strerror}") from None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._out, self._err = self._process.stdout, self._process.stderr
        self._listener = threading.Thread(target=self._listen, name="ffmpeg-stderr", daemon=True)
        self._listener.start()
        self._heard = 0
        try:
            self.rate, self.channels = self._header()
        except (EOFError, struct.error):
            self.close()
            cut = "its index, which is written last, is missing: it was cut off, or its recorder stopped too early"
            raise Refused(cut if self._talk.no_index else "ffmpeg finds no audio in it") from None
        self._talk.introduced.wait(timeout=5)
        if self._talk.guessed:
            self.close()
            raise Refused("ffmpeg can only guess what it is")

    def read(self, count: int) -> Block:
        size = 4 * self.channels
        data = self._out.read(count * size)
        block: Block = np.frombuffer(data[: len(data) // size * size], "<f4").reshape(-1, self.channels)
        self._heard += len(block)
        if not len(block) and count:
            code = self._process.wait()
            self._listener.join(timeout=2)
            if code != 0 and self._heard == 0:
                raise Damaged("ffmpeg cannot decode it")
        return block

    def remarks(self, heard: int) -> list[str]:
        seconds, talk = heard / self.rate, self._talk
        if talk.promised is not None and seconds < talk.promised - SLACK:
            return [f"is cut off: {seconds:.3f} s are there of the {talk.promised:.3f} s that it promises"]
        cut = talk.cut
        cut |= talk.form == "ogg" and not promise.ogg_is_whole(self._raw)
        cut |= talk.form == "caf" and promise.caf_is_cut(self._raw)
        if cut:
            return [f"is cut off after {seconds:.3f} s; what is there was heard"]
        if talk.errors or self._process.wait() != 0:
            return [f"is damaged: {seconds:.3f} s of it could be decoded, perhaps not all of it is right"]
        return []

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._listener.join(timeout=2)
        self._out.close()
        self._err.close()

    def _header(self) -> tuple[int, int]:
        """Rate and channels of the WAV stream that comes, up to its samples."""
        if self._take(12)[:4] != b"RIFF":
            raise EOFError
        rate = channels = 0
        while True:
            name, size = struct.unpack("<4sI", self._take(8))
            if name == b"data":
                return rate, channels
            chunk = self._take(size + size % 2)
            if name == b"fmt ":
                channels, rate = struct.unpack("<2xHI", chunk[:8])

    def _take(self, count: int) -> bytes:
        data = self._out.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def _listen(self) -> None:
        for count, line in enumerate(iter(lambda: self._err.readline(2000), b"")):
            if count < MOST_LINES:
                self._talk.add(line.decode("utf-8", "replace"))
        self._talk.introduced.set()


class _Talk:
    """What ffmpeg says about a file, as far as it matters."""

    def __init__(self) -> None:
        self.promised: float | None = None
        """How long the file says it is, in seconds."""
        self.cut = False
        self.errors = 0
        self.no_index = False
        self.guessed = False
        """It is not sure that this is audio at all."""
        self.introduced = threading.Event()
        """All is said that comes before the samples."""
        self.form = ""
        """The format, by ffmpeg's name."""

    def add(self, line: str) -> None:
        if found := re.search(r"Input #0, (\S.*?), from ", line):
            self.form = found.group(1)
        elif (found := re.search(r"^\[info\]\s+Duration: (\d+):(\d\d):(\d\d\.\d+)", line)) and self.form.startswith(
            TELLS_LENGTH
        ):
            hours, minutes, seconds = found.groups()
            self.promised = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        elif re.search(r"Stream #0:\d+.*: Video:", line) and "attached pic" not in line:
            self.promised = None  # of the picture, perhaps
        if "Output #0" in line:
            self.introduced.set()
        self.no_index |= "moov atom not found" in line
        self.guessed |= "misdetection possible" in line
        self.cut |= re.search(r"partial file|ended prematurely|[Tt]runcat", line) is not None
        self.errors += re.search(r"\[(error|fatal)\]", line) is not None
