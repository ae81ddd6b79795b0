"""What models make of sound, as directions: a bundle that can be taught, and YAMNet's embedding under the same rule."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from asit_edge.audio.samples import Samples
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import find_bundle, load_bundle
from asit_edge.model.classifier import Embedding
from asit_edge.model.front_ends import frames_of
from asit_edge.teach.space import Directions, SoundSpace, load_space
from export.negatives.embedded import Embedded, space_of
from trainer.data.decode import samples_of
from trainer.data.left_out import original
from trainer.data.mixing import block_powers, rms
from trainer.data.recording import Recording
from trainer.evaluation.yardstick.listening import Listening
from trainer.teachers.yamnet import HOP, WINDOW, YamNet

RATE = 16_000

TOGETHER = 8
"""Pieces of long sound that are heard at once."""


@dataclass(frozen=True)
class Stream:
    """Of a sound, chunk by chunk."""

    directions: Directions
    embeddings: npt.NDArray[np.float16] | None = None
    """(chunks, numbers), where the lab needs them."""


class Ear(Protocol):
    """A model's embeddings as directions."""

    name: str
    seconds: float
    """Of a chunk."""
    space: SoundSpace

    def hear(self, sounds: Sequence[Samples]) -> list[Stream]: ...


class BundleEar:
    """A bundle that can be taught."""

    def __init__(self, path: Path) -> None:
        bundle = load_bundle(find_bundle(path))
        self.name, self.space, self._spec = bundle.manifest.name, load_space(bundle), bundle.manifest.front_end
        self._model: Embedding = open_classifier(bundle)  # type: ignore[assignment]
        self.seconds = self.space.seconds

    def hear(self, sounds: Sequence[Samples]) -> list[Stream]:
        """All in one batch, which takes half the time of one after the other; what has ended is heard no further."""
        frames = self._model.chunk
        size = frames * self._spec.hop
        counts = [-(-len(samples) // size) for samples in sounds]
        mels = [
            frames_of(self._spec, np.pad(one, (0, self._spec.samples_for(count * frames) - len(one))))
            for one, count in zip(sounds, counts, strict=True)
        ]
        memories = [self._model.open() for _ in sounds]
        found: list[list[np.ndarray]] = [[] for _ in sounds]
        for chunk in range(max(counts)):
            rows = [row for row, count in enumerate(counts) if chunk < count]
            chunks = np.stack([mels[row][chunk * frames : (chunk + 1) * frames] for row in rows])
            embedded = self._model.step_embedded(chunks, [memories[row] for row in rows])[1]
            for row, one in zip(rows, embedded, strict=True):
                found[row].append(one)
        streams = [np.stack(one) for one in found]
        return [Stream(self.space.axes.place(one), one.astype(np.float16)) for one in streams]


class YamNetEar:
    """YAMNet's 1,024 numbers of every 0.975 s, twice a second; negatives of the same recordings."""

    name = "YAMNet"
    seconds = HOP / RATE

    def __init__(self, file: Path, recordings: Sequence[Recording], axes: int, clips: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        YamNet(file)  # says what is wrong with it
        self._net = Interpreter(str(file), num_threads=1, experimental_preserve_all_tensors=True)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        self._layer = next(
            one["index"] for one in self._net.get_tensor_details() if sorted(one["shape"])[-1:] == [1024]
            and int(np.prod(one["shape"])) == 1024 and "mean" in one["name"].lower()
        )  # fmt: skip
        heard = []
        for one in tqdm(first_of_each(recordings), self.name, file=sys.stderr, mininterval=30):
            samples = samples_of(one, RATE)[: 12 * RATE]
            if len(samples) and rms(samples) > 1e-4:
                found = self.embeddings(samples)
                padded = np.pad(samples, (0, max(len(found) * HOP - len(samples), 0)))[: len(found) * HOP]
                heard.append(Embedded(one, found, np.sqrt(block_powers(padded, len(found)))))
        self.space, _ = space_of(heard, axes, clips, self.seconds)

    def embeddings(self, samples: Samples) -> np.ndarray:
        count = max(-(-(len(samples)) // HOP), 1)
        # A window ends with its chunk, as a device hears it.
        padded = np.concatenate((np.zeros(WINDOW - HOP, np.float32), samples, np.zeros(HOP, np.float32)))
        found = []
        for chunk in range(count):
            self._net.set_tensor(self._input, padded[chunk * HOP : chunk * HOP + WINDOW].astype(np.float32))
            self._net.invoke()
            found.append(self._net.get_tensor(self._layer).reshape(-1).astype(np.float32))
        return np.stack(found)

    def hear(self, sounds: Sequence[Samples]) -> list[Stream]:
        return [Stream(self.space.axes.place(self.embeddings(samples))) for samples in sounds]


def first_of_each(recordings: Sequence[Recording]) -> list[Recording]:
    """One clip of each recording, the first in a drawn order."""
    order = np.random.default_rng(0).permutation(len(recordings))
    return list({original(recordings[index]): recordings[index] for index in order[::-1]}.values())


@dataclass(frozen=True)
class Spoken:
    """Files of speech, said one after the other."""

    files: list[Path]

    def __len__(self) -> int:
        return 1

    def samples(self, index: int, rate: int) -> Samples:
        return np.concatenate([samples_of(Recording(file), rate) for file in self.files])

    def labels(self, index: int) -> frozenset[str]:
        return frozenset({"Speech"})


@dataclass(frozen=True)
class Piece:
    """A piece of long sound: what is known to be in it, and what an ear makes of it."""

    labels: frozenset[str]
    stream: Stream


def pieces(ear: Ear, sound: Listening, name: str) -> Iterator[Piece]:
    """A few at a time, for hours of samples are large."""
    for first in tqdm(range(0, len(sound), TOGETHER), f"{ear.name}: {name}", file=sys.stderr, mininterval=30):
        some = range(first, min(first + TOGETHER, len(sound)))
        labels, samples = zip(*((sound.labels(index), sound.samples(index, RATE)) for index in some), strict=True)
        yield from map(Piece, labels, ear.hear(samples))
