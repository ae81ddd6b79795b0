"""An audio file to samples, by libsndfile, which is told where a header is wrong. What it refuses is for ffmpeg."""

import io
from typing import BinaryIO, Protocol

import numpy as np
import soundfile

from asit_edge.audio.samples import Block
from asit_edge.audio.sources import promise, wav
from asit_edge.errors import one_line
from asit_edge.host.c_library import c_stderr_discarded

SLACK = 0.1
"""Seconds that an MP3 may be shorter than it says: encoders count what they add at both ends."""


SAMPLE_BYTES = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}


class Refused(Exception):
    """This is not audio that the decoder knows; why, in its own words."""


class Damaged(Exception):
    """What comes next cannot be decoded; why, in the decoder's own words."""


class Decoder(Protocol):
    """An open audio file."""

    @property
    def rate(self) -> int:
        """Hz."""
        ...

    @property
    def channels(self) -> int: ...

    def read(self, count: int) -> Block:
        """The next samples, (count, channels), fewer only at the end. Raises Damaged."""
        ...

    def remarks(self, heard: int) -> list[str]:
        """What was odd, in words that follow the file's name. Asked when `heard` samples were all that there are."""
        ...

    def close(self) -> None: ...


class SoundFileDecoder:
    """Implements `Decoder`."""

    def __init__(self, raw: BinaryIO) -> None:
        """`raw` is the file, opened without a buffer, for this decoder alone. Raises Refused or OSError."""
        self._raw = raw
        self._wav = wav.examine(raw)
        self._error: str | None = None
        """Why no more can be decoded."""
        self._cut = False
        """It is because the end of the file is missing."""
        try:
            with c_stderr_discarded():
                self._file = self._open()
        except soundfile.SoundFileError as error:
            raise Refused(_words(error)) from None
        self.rate: int = self._file.samplerate
        self.channels: int = self._file.channels

    def read(self, count: int) -> Block:
        block: Block = np.zeros((count, self.channels), np.float32)
        if self._error is None:
            try:
                with c_stderr_discarded():
                    return self._file.read(dtype="float32", always_2d=True, out=block)
            except soundfile.SoundFileError as error:
                self._error = _words(error)
                self._cut = self._file.format in ("FLAC", "MP3") and self._at_end()
                sounding = np.flatnonzero(block.any(axis=1))  # what was decoded until then
                if len(sounding):
                    return block[: sounding[-1] + 1]
        if not self._cut:
            raise Damaged(self._error)
        return block[:0]

    def remarks(self, heard: int) -> list[str]:
        seconds = f"{heard / self.rate:.3f} s"
        if self._wav is not None:
            return _about_header(self._wav, seconds)
        if self._file.format == "OGG":
            whole = promise.ogg_is_whole(self._raw)
            return [] if whole else [f"breaks off after {seconds}: its last page is missing; what is there was heard"]
        promised = self._promised()
        slack = SLACK * self.rate if self._file.format == "MP3" else 0
        if promised is not None and heard < promised - slack:
            return [f"is cut off: {seconds} are there of the {promised / self.rate:.3f} s that it promises"]
        if self._file.format == "MP3" and promise.mp3_is_cut(self._raw):
            return [f"is cut off after {seconds}, within a frame; what is there was heard"]
        return []

    def close(self) -> None:
        self._file.close()

    def _open(self) -> soundfile.SoundFile:
        """As libsndfile understands it, or where it does not see what is there, behind a header that is right."""
        if self._wav is None or self._wav.there == 0:
            says_its_length = promise.mp3_says_its_length(self._raw)
            file = self._plain()
            if file.format != "MP3" or says_its_length:
                return file
            try:
                longer = soundfile.SoundFile(promise.Lengthened(self._raw))
            except soundfile.SoundFileError:
                return self._plain()
            file.close()
            return longer
        try:
            file = self._plain()
        except soundfile.SoundFileError:
            return soundfile.SoundFile(self._wav.repaired(self._raw))
        frame = self._wav.frame
        if file.frames == self._wav.there // frame if frame else file.frames > 0:
            return file
        file.close()
        return soundfile.SoundFile(self._wav.repaired(self._raw))

    def _plain(self) -> soundfile.SoundFile:
        self._raw.seek(0)
        return soundfile.SoundFile(self._raw.fileno(), closefd=False)

    def _at_end(self) -> bool:
        at = self._raw.tell()
        return at >= self._raw.seek(0, io.SEEK_END)

    def _promised(self) -> float | None:
        """Samples that the file says it has; None where it does not say."""
        form = self._file.format
        if form == "FLAC" or (form == "MP3" and promise.mp3_says_its_length(self._raw)):
            return self._file.frames or None
        if form == "AIFF":
            return promise.aiff_frames(self._raw)
        size = {"AU": promise.au_bytes, "W64": promise.w64_bytes}.get(form, lambda _: None)(self._raw)
        frame = self.channels * SAMPLE_BYTES.get(self._file.subtype, 0)
        return size // frame if size is not None and frame else None


def _about_header(found: wav.Wav, seconds: str) -> list[str]:
    if found.said is None:
        return [f"its header does not say how long it is; {seconds} are there and were heard"]
    said = f"{found.seconds(found.said):.3f} s"
    if found.said > found.there:
        return [f"is cut off: {seconds} are there of the {said} that its header promises"]
    if found.said < found.there:
        return [f"its header promises {said}; {seconds} are there and were heard"]
    return []


def _words(error: soundfile.SoundFileError) -> str:
    """libsndfile's, without the name of the file as it was opened."""
    return one_line(error.error_string if isinstance(error, soundfile.LibsndfileError) else error)
