"""What the last hours sounded like, where somebody has asked for it to be remembered: directions, no audio.

One file a source in the folder `memory` of the state directory: a header of `HEADER` bytes (JSON: which model, axes,
seconds of a chunk), then a fixed number of records, written over and over: when a chunk ended (float64, seconds since
the epoch; 0: never written) and its direction (int8). It never grows, whoever runs out of disk.
"""

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asit_edge.errors import AsitEdgeError, one_line
from asit_edge.host.directories import state_directory
from asit_edge.host.errands import Errands
from asit_edge.host.files import make_folder, owner_only
from asit_edge.model.key import ModelKey
from asit_edge.teach.space import FULL, Directions

log = logging.getLogger(__name__)

HEADER = 4096

TOGETHER = 32
"""Chunks that are written at once: ten seconds."""

MOST_WAITING = 64
"""Writes that wait for a slow disk; what is more is not remembered."""

BREAK = 1.5
"""Chunks after which the next one does not follow on."""


@dataclass(frozen=True)
class Remembered:
    """Chunks in order: when each ended (seconds since the epoch), and its direction (n, axes)."""

    times: npt.NDArray[np.float64]
    directions: Directions
    seconds: float
    """Of a chunk."""

    @property
    def hours(self) -> float:
        return len(self.times) * self.seconds / 3600

    def between(self, begin: float, end: float) -> "Remembered":
        """The chunks that have something of that time in them."""
        inside = (self.times > begin) & (self.times - self.seconds < end)
        return Remembered(self.times[inside], self.directions[inside], self.seconds)

    def stretches(self, longest: float) -> Iterator["Remembered"]:
        """Without breaks, and none longer than so many seconds."""
        breaks = np.flatnonzero(np.diff(self.times) > BREAK * self.seconds) + 1
        size = max(round(longest / self.seconds), 1)
        for part in np.split(np.arange(len(self.times)), breaks):
            for first in range(0, len(part), size):
                some = part[first : first + size]
                yield Remembered(self.times[some], self.directions[some], self.seconds)


def memory_folder() -> Path:
    """Raises WrongUse where there is no place for it."""
    return state_directory() / "memory"


class Memory:
    """A listener's. What is noted is written in a thread of its own; a disk that is full or hangs holds up nothing."""

    def __init__(self, folder: Path, key: ModelKey, axes: int, seconds: float, hours: float) -> None:
        """`seconds` of a chunk, `hours` that are remembered of each source."""
        self._folder, self._key, self._axes, self._seconds = folder, key, axes, seconds
        self._records = max(round(hours * 3600 / seconds), TOGETHER)
        self._type = record_type(axes)
        self._waiting: dict[str, list[tuple[float, Directions]]] = {}
        self._next: dict[str, int] = {}
        self._failed = False
        self._errands = Errands("memory of what was heard", MOST_WAITING, "the disk is slow")

    def note(self, source: str, time: float, direction: Directions) -> None:
        """A chunk of a source that ended at `time`, seconds since the epoch."""
        waiting = self._waiting.setdefault(source, [])
        waiting.append((time, direction))
        if len(waiting) >= TOGETHER:
            self._write_soon(source)

    def stop(self, seconds: float) -> None:
        """Writes what waits, within so many seconds."""
        for source in self._waiting:
            self._write_soon(source)
        self._errands.stop(seconds)

    def _write_soon(self, source: str) -> None:
        chunks, self._waiting[source] = self._waiting[source], []
        if chunks:
            self._errands.do(lambda: self._write(source, chunks))

    def _write(self, source: str, chunks: list[tuple[float, Directions]]) -> None:
        records = np.zeros(len(chunks), self._type)
        records["time"] = [time for time, _ in chunks]
        records["direction"] = np.round(np.stack([one for _, one in chunks]) * FULL).astype(np.int8)
        try:
            with self._opened(source) as file:
                for record in records:
                    place = self._next[source]
                    os.pwrite(file, record.tobytes(), HEADER + place * self._type.itemsize)
                    self._next[source] = (place + 1) % self._records
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.warning("what was heard cannot be remembered: %s: %s", self._folder, error.strerror)
            self._failed = True

    @contextlib.contextmanager
    def _opened(self, source: str) -> Iterator[int]:
        make_folder(self._folder)
        path = self._folder / f"{source}.directions"
        file = owner_only(str(path), os.O_RDWR | os.O_CREAT)
        try:
            header = self._header()
            if os.pread(file, HEADER, 0) != header:  # new, of another model, or of another length
                os.ftruncate(file, 0)
                os.pwrite(file, header, 0)
                os.ftruncate(file, HEADER + self._records * self._type.itemsize)
                self._next[source] = 0
            elif source not in self._next:
                times = read_records(path, self._type)["time"]
                self._next[source] = (int(times.argmax()) + 1) % self._records if times.any() else 0
            yield file
        finally:
            os.close(file)

    def _header(self) -> bytes:
        about = {
            "model": self._key.model_dump(),
            "axes": self._axes,
            "seconds": self._seconds,
            "records": self._records,
        }
        return json.dumps(about).encode().ljust(HEADER)


def record_type(axes: int) -> np.dtype[np.void]:
    return np.dtype([("time", "<f8"), ("direction", "i1", (axes,))])


def read_records(path: Path, kind: np.dtype[np.void]) -> npt.NDArray[np.void]:
    """All records that are whole."""
    content = path.read_bytes()[HEADER:]
    return np.frombuffer(content[: len(content) // kind.itemsize * kind.itemsize], kind)


def recall(folder: Path, source: str, key: ModelKey) -> Remembered | None:
    """What is remembered of a source by this model, in order of time; None if nothing is.

    Raises AsitEdgeError if the file cannot be read.
    """
    path = folder / f"{source}.directions"
    try:
        about = json.loads(path.read_bytes()[:HEADER])
        if about["model"]["sha256"] != key.sha256:
            return None
        records = read_records(path, record_type(int(about["axes"])))
        seconds = float(about["seconds"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AsitEdgeError(f"{path}: cannot be read ({one_line(error)}); delete it") from None
    records = records[np.argsort(records["time"], kind="stable")]
    records = records[np.isfinite(records["time"]) & (records["time"] > 0)]
    return Remembered(records["time"].copy(), records["direction"].astype(np.float32) / np.float32(FULL), seconds)


def sources_remembered(folder: Path) -> list[str]:
    """By name."""
    return sorted(file.stem for file in folder.glob("*.directions"))
