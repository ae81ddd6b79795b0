"""One stream from samples to what a classifier takes and gives: chunks of frames in, decisions out."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

from asit_edge.audio.samples import Samples
from asit_edge.model.classifier import Classifier, LogMels, Scores
from asit_edge.model.front_ends import AnyFrontEnd, open_framer


@dataclass(frozen=True)
class Chunk:
    """Frames (frames, width) of the audio from `start` to `end`, and its RMS (of samples from -1 to 1)."""

    start: int
    end: int
    frames: LogMels
    rms: float


@dataclass(frozen=True)
class Decision:
    """The scores (classes,) of the audio from `start` to `end`, by what was heard up to there."""

    start: int
    end: int
    scores: npt.NDArray[np.float32]


class Chunker:
    """One stream from samples to the chunks of frames that a classifier takes."""

    def __init__(self, front_end: AnyFrontEnd, chunk: int, rate: int) -> None:
        """`chunk` is in frames, `rate` the source's in Hz."""
        self._spec = front_end
        self._chunk = chunk
        self._rate = rate
        self._framer = open_framer(front_end)
        self.position = 0
        self._restart()

    def _restart(self) -> None:
        """As if silence had been heard until now."""
        rate, model_rate = self._rate, self._spec.sample_rate
        self._resampler = soxr.ResampleStream(rate, model_rate, 1, dtype="float32") if rate != model_rate else None
        self._framer.reset()
        self._pending = np.zeros((0, self._spec.width), np.float32)
        self._chunked = self.position
        self._unchunked: Samples = np.zeros(0, np.float32)

    def push(self, samples: Samples) -> list[Chunk]:
        """Mono samples at the source's rate to the chunks that they complete."""
        return self._hear(self._resampler.resample_chunk(samples) if self._resampler else samples)

    def resume(self, position: int, rate: int) -> None:
        """After a `flush`: the next sample is the one at `position`, and samples come at `rate` from now on."""
        self.position = max(position, self.position)
        self._rate = rate
        self._restart()

    def flush(self) -> list[Chunk]:
        """The rest, as if silence followed, and a new beginning. `position` then is where the audio ended."""
        chunks = (
            self._hear(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)) if self._resampler else []
        )
        end = self.position
        if end > self._chunked:
            missing = self._spec.samples_for(self._chunk - len(self._pending)) - self._framer.pending
            chunks += self._hear(np.zeros(missing, np.float32))
        self.position = end
        self._restart()
        return chunks

    def _hear(self, samples: Samples) -> list[Chunk]:
        self.position += len(samples)
        frames = np.concatenate((self._pending, self._framer.push(samples)))
        whole = len(frames) // self._chunk * self._chunk
        self._pending = frames[whole:]
        self._unchunked = np.concatenate((self._unchunked, samples))
        length = self._chunk * self._spec.hop
        chunks = []
        for first in range(0, whole, self._chunk):
            start = self._chunked
            self._chunked += length
            power = float(np.mean(np.square(self._unchunked[:length], dtype=np.float64)))
            self._unchunked = self._unchunked[length:]
            chunks.append(Chunk(start, self._chunked, frames[first : first + self._chunk], power**0.5))
        return chunks


class Scorer:
    """Samples in, decisions out: the part of the way that needs no memory of events."""

    def __init__(self, front_end: AnyFrontEnd, classifier: Classifier, rate: int) -> None:
        """`rate` is the source's in Hz."""
        self._chunker = Chunker(front_end, classifier.chunk, rate)
        self._classifier = classifier
        self._memory = classifier.open()

    @property
    def position(self) -> int:
        """Where the stream is, in samples at the model's rate."""
        return self._chunker.position

    def push(self, samples: Samples) -> Iterator[Decision]:
        """Mono samples at the source's rate to the decisions that they complete."""
        yield from self._score(self._chunker.push(samples))

    def flush(self) -> Iterator[Decision]:
        """Decides on the rest, as if silence followed, and forgets the stream. `position` then is where it ended."""
        yield from self._score(self._chunker.flush())
        self._memory = self._classifier.open()

    def _score(self, chunks: list[Chunk]) -> Iterator[Decision]:
        for chunk in chunks:
            scores = self._classifier.step(chunk.frames[None], [self._memory])[0]
            yield from decisions(chunk, scores)


def decisions(chunk: Chunk, scores: Scores) -> Iterator[Decision]:
    """A chunk's scores (steps, classes), each with its part of the chunk."""
    length = (chunk.end - chunk.start) // len(scores)
    for step, one in enumerate(scores):
        start = chunk.start + step * length
        yield Decision(start, start + length, one)
