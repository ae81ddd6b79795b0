"""What a clip sounds like, in 32 bytes: enough to recognise it under any name, in any folder, format, rate or level.

A sketch has the signs of 256 random projections of the waveform. Two waveforms that correlate by r differ in about
arccos(r) / pi of them (Charikar, "Similarity estimation techniques from rounding algorithms", 2002): copies, also those
that MP3, Vorbis or Opus have been through, in few, two recordings of one bell in half. The end may be cut off or
padded; not recognised is what begins elsewhere, is played at another speed, or lies under a louder sound.
"""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt
import soxr
from tqdm import tqdm

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError, one_line
from trainer.data.clips.usable import why_not
from trainer.data.dataset import TEST
from trainer.data.decode import read_mono, samples_of
from trainer.data.recording import Recording

T = TypeVar("T")

RATE = 8000
"""Hz at which waveforms are compared: below 4 kHz codecs keep the waveform, above it only its sound."""

BITS = 256

SAME = 64
"""Bits in which two clips of one content differ at most: a correlation of 0.7. By chance it is 128, give or take 8."""

Sketches = npt.NDArray[np.uint8]
"""(clips, 32)."""


def sketch(samples: Samples) -> Sketches:
    """The sketch (32,) of a waveform (samples,) at RATE. All digital silence is alike."""
    # Raw bits of a bit generator, unlike drawn numbers, are the same in every version of NumPy.
    bits = np.random.PCG64(0).random_raw(-(-len(samples) // 64)).astype("<u8").view(np.uint8)
    signs = 2 * np.unpackbits(bits)[: len(samples)].astype(np.float32) - 1
    mixed = (samples - samples.mean() if len(samples) else samples) * signs
    folded = np.pad(mixed, (0, -len(mixed) % (2 * BITS))).reshape(-1, 2 * BITS).sum(axis=0)
    return np.packbits(np.fft.rfft(folded).real[:BITS] > 0)


def sketch_of_file(file: BinaryIO) -> bytes:
    """The sketch of an open audio file, packed (32 bytes). Raises one of `UNREADABLE`."""
    mono, rate = read_mono(file)
    return sketch(soxr.resample(mono, rate, RATE).astype(np.float32) if rate != RATE else mono).tobytes()


def sketches(recordings: Sequence[Recording], threads: int = 1) -> Sketches:
    """The sketch of every recording. Raises AsitEdgeError, naming the file, where one cannot be read."""
    found = _examined(lambda one: sketch(samples_of(one, RATE)), recordings, threads)
    return np.stack(found) if found else np.zeros((0, BITS // 8), np.uint8)


def examined(
    recordings: Sequence[Recording], threads: int = 1, trusting: bool = True
) -> tuple[Sketches, dict[int, str]]:
    """The sketch of every recording, and of each that cannot be learnt from the reason, by its number.

    Clips of shards bring their sketches in the index, and `trainer.prepare` has examined them: unless this is not
    `trusting`, only those that will be tested on are examined again, since no other clip can stand in for them.
    """

    def look(one: Recording) -> tuple[Sketches, str | None]:
        if trusting and one.sketch and one.part != TEST:
            return np.frombuffer(one.sketch, np.uint8), None
        try:
            samples = samples_of(one, RATE)
        except AsitEdgeError as error:
            return np.zeros(BITS // 8, np.uint8), one_line(error).removeprefix(f"{one.path}: ")
        reason = why_not(samples, one.labels)
        return (np.zeros(BITS // 8, np.uint8), reason) if reason else (sketch(samples), None)

    found = _examined(look, recordings, threads)
    contents = np.stack([content for content, _ in found]) if found else np.zeros((0, BITS // 8), np.uint8)
    return contents, {index: reason for index, (_, reason) in enumerate(found) if reason is not None}


def _examined(look: Callable[[Recording], T], recordings: Sequence[Recording], threads: int) -> list[T]:
    with ThreadPoolExecutor(threads) as pool:
        made = pool.map(look, recordings)
        return list(tqdm(made, "comparing", len(recordings), disable=not sys.stderr.isatty()))


def found_in(own: Sketches, known: Sketches, block: int = 4096) -> npt.NDArray[np.bool_]:
    """Whether each of `own` has the content of any of `known`, (own,)."""
    found = np.zeros(len(own), np.bool_)
    rows = _plus_minus(own)
    for start in range(0, len(known), block):
        agreement = rows @ _plus_minus(known[start : start + block]).T  # bits that agree minus bits that differ
        found |= (agreement >= BITS - 2 * SAME).any(axis=1)
    return found


def _plus_minus(packed: Sketches) -> npt.NDArray[np.float32]:
    return 2 * np.unpackbits(packed, axis=1).astype(np.float32) - 1
