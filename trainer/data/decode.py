"""Audio files to mono float32 samples: one at a time, when asked for, or a whole list once and for all into a cache."""

import hashlib
import io
import json
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError
from trainer.data.recording import Recording
from trainer.run.cache import computed_once

UNREADABLE = (OSError, soundfile.SoundFileError)
"""What reading a missing or broken file raises."""

FULL_SCALE = 32767.0

Pcm = npt.NDArray[np.int16]


def read_mono(file: Path | BinaryIO, start: float = 0.0, seconds: float | None = None) -> tuple[Samples, int]:
    """The mean of a file's channels, (samples,), and its own rate in Hz. Raises one of UNREADABLE."""
    with soundfile.SoundFile(file) as opened:
        opened.seek(min(round(start * opened.samplerate), opened.frames))
        frames = -1 if seconds is None else round(seconds * opened.samplerate)
        return opened.read(frames, dtype="float32", always_2d=True).mean(axis=1), opened.samplerate


def decode(path: Path, rate: int, start: float = 0.0, seconds: float | None = None) -> Samples:
    """A file, or a part of it, at `rate`, (samples,); with ffmpeg's help for what libsndfile does not know (m4a, webm).

    Raises AsitEdgeError that names the file.
    """
    try:
        mono, source_rate = read_mono(path, start, seconds)
    except UNREADABLE as error:
        samples = _by_ffmpeg(path, rate, f"{path}: cannot be read as audio ({error})")
        end = len(samples) if seconds is None else round((start + seconds) * rate)
        return samples[round(start * rate) : end]
    return soxr.resample(mono, source_rate, rate).astype(np.float32) if source_rate != rate else mono


def _by_ffmpeg(path: Path, rate: int, why: str) -> Samples:
    """A whole file. Raises AsitEdgeError, beginning with `why` libsndfile does not read it."""
    if not path.is_file() or not path.stat().st_size:
        raise AsitEdgeError(why)
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        convert = f"ffmpeg -i {shlex.quote(str(path))} {shlex.quote(str(path.with_suffix('.wav')))}"
        raise AsitEdgeError(
            f"{why}; ffmpeg, which knows more formats, is not installed: install it, or convert the file where it is "
            f"({convert})"
        )
    command = [ffmpeg, "-v", "error", "-xerror", "-nostdin", "-i", str(path), "-map", "0:a:0"]
    done = subprocess.run([*command, "-ac", "1", "-ar", str(rate), "-f", "f32le", "-"], capture_output=True)
    if done.returncode != 0 or not done.stdout:
        raise AsitEdgeError(f"{why}; ffmpeg: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return np.frombuffer(done.stdout[: len(done.stdout) // 4 * 4], "<f4").astype(np.float32)


def duration(path: Path) -> float:
    """Seconds of a file, from its header. Raises AsitEdgeError that names it."""
    try:
        return float(soundfile.info(path).duration)
    except UNREADABLE as error:
        raise AsitEdgeError(f"{path}: cannot be read as audio ({error})") from None


def length_of(recording: Recording) -> float | None:
    """Seconds of a recording, as far as its file's header tells; None where that cannot be read."""
    if recording.inside is not None:
        return recording.seconds
    try:
        there = float(soundfile.info(recording.path).duration) - recording.start
    except UNREADABLE:
        return None
    return max(there if recording.seconds is None else min(there, recording.seconds), 0.0)


def samples_of(recording: Recording, rate: int) -> Samples:
    """A recording, or the part that it is, at `rate`, (samples,). Raises AsitEdgeError that names it."""
    if recording.inside is not None:
        return _inside(recording, rate)
    return decode(recording.path, rate, recording.start, recording.seconds)


SHARD_RATE = 16_000
"""Hz of the audio in shards of `trainer.prepare`; seconds of clips of shards are counted at this rate."""


def _inside(recording: Recording, rate: int) -> Samples:
    """A clip of a shard."""
    offset, size = recording.inside or (0, 0)
    try:
        with recording.path.open("rb") as file:
            file.seek(offset)
            mono, source_rate = read_mono(io.BytesIO(file.read(size)))
    except UNREADABLE as error:
        reason = getattr(error, "error_string", error)  # without the address of what was read from memory
        raise AsitEdgeError(f"{recording.shown}: cannot be read as audio ({reason})") from None
    if (whole := round((recording.seconds or 0) * SHARD_RATE)) > len(mono):
        raise AsitEdgeError(f"{recording.shown}: cut off, {len(mono)} samples of {whole} are left")
    return soxr.resample(mono, source_rate, rate).astype(np.float32) if source_rate != rate else mono


class LazyClips(Sequence[Samples]):
    """The samples of recordings at one rate, read when they are asked for."""

    def __init__(self, recordings: Sequence[Recording], rate: int) -> None:
        self._recordings, self._rate = recordings, rate

    def __len__(self) -> int:
        return len(self._recordings)

    def name(self, index: int) -> str:
        """For people."""
        return self._recordings[index].shown

    def labels(self, index: int) -> tuple[str, ...]:
        return self._recordings[index].labels

    def __getitem__(self, index: int) -> Samples:  # type: ignore[override]
        return samples_of(self._recordings[index], self._rate)


class Chosen(Sequence[Samples]):
    """Some of many clips, by their numbers, read when they are asked for."""

    def __init__(self, clips: Sequence[Samples], numbers: Sequence[int]) -> None:
        self._clips, self._numbers = clips, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Samples:  # type: ignore[override]
        return self._clips[self._numbers[index]]


class Waveforms(Protocol):
    """Mono int16 audio of many recordings at one rate, by number."""

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Samples of each recording."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Pcm:
        """Raises AsitEdgeError that names a recording that cannot be read."""
        ...


class WaveformCache:
    """Recordings in one file that processes share by mapping it."""

    def __init__(self, file: Path, starts: npt.NDArray[np.int64]) -> None:
        """Recording n is samples starts[n] to starts[n + 1] of the file."""
        self.file, self.starts = file, starts
        self._samples: Pcm | None = None

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return np.diff(self.starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Pcm:
        if self._samples is None:
            self._samples = np.memmap(self.file, np.int16, mode="r")
        return self._samples[self.starts[index] : self.starts[index + 1]]

    def __getstate__(self) -> dict[str, object]:
        return {"file": self.file, "starts": self.starts, "_samples": None}


class ShardedWaveforms:
    """Recordings of which some lie in shards, where each is read when it is asked for, and the others in a cache."""

    def __init__(self, recordings: Sequence[Recording], rate: int, cache: WaveformCache) -> None:
        """`cache` has those that lie in no shard, in the same order."""
        self._recordings, self._rate, self._cache = recordings, rate, cache
        cached = np.array([one.inside is None for one in recordings], np.bool_)
        self._places = np.cumsum(cached) - 1
        self._lengths = np.array([round((one.seconds or 0.0) * rate) for one in recordings], np.int64)
        self._lengths[cached] = cache.lengths

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return self._lengths

    def __len__(self) -> int:
        return len(self._recordings)

    def __getitem__(self, index: int) -> Pcm:
        recording = self._recordings[index]
        if recording.inside is None:
            return self._cache[int(self._places[index])]
        return to_pcm(samples_of(recording, self._rate))


def to_samples(pcm: Pcm) -> Samples:
    """Cached int16 audio as samples from -1 to 1."""
    return pcm / np.float32(FULL_SCALE)


def to_pcm(samples: Samples) -> Pcm:
    """Samples from -1 to 1 as int16 audio; what lies beyond is clipped."""
    return (samples.clip(-1, 1) * FULL_SCALE).round().astype(np.int16)


def load_waveforms(recordings: Sequence[Recording], rate: int, folder: Path) -> Waveforms:
    """Every recording; those that lie in no shard are decoded once, into a file of the folder, and read from there.

    The key is what the list names, with sizes and times of change, so another list or a changed file is decoded anew.
    """
    files = [one for one in recordings if one.inside is None]
    facts = [(one.name, one.path.stat().st_size, one.path.stat().st_mtime_ns) for one in files]
    key = hashlib.sha256(json.dumps([rate, facts]).encode()).hexdigest()[:16]
    file, index = folder / f"{key}.s16", folder / f"{key}.npy"
    computed_once(index, lambda: _decode_all(files, rate, file, index))
    cache = WaveformCache(file, np.load(index))
    return cache if len(files) == len(recordings) else ShardedWaveforms(recordings, rate, cache)


def _decode_all(recordings: Sequence[Recording], rate: int, file: Path, index: Path) -> None:
    """All samples, one recording after the other, into `file`; then into `index` where each one begins."""
    lengths = [0]
    aside = file.with_suffix(".part")
    with aside.open("wb") as out:
        for recording in recordings:
            samples = decode(recording.path, rate)
            out.write(to_pcm(samples).tobytes())
            lengths.append(len(samples))
    aside.replace(file)
    aside = index.with_suffix(".part.npy")
    np.save(aside, np.cumsum(lengths, dtype=np.int64))
    aside.replace(index)
