"""What a bundle's model makes of recordings, and the negatives for teaching that come of it."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tqdm import tqdm

from asit_edge.audio.samples import Samples
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import Bundle
from asit_edge.model.classifier import Embedding, Embeddings
from asit_edge.model.front_ends import AnyFrontEnd, frames_of
from asit_edge.teach.space import FULL, Axes, SoundSpace
from trainer.data.decode import samples_of
from trainer.data.left_out import collection_of, original
from trainer.data.mixing import block_powers, rms
from trainer.data.recording import Recording

LONGEST = 12.0
"""Seconds of a recording that are heard."""

SILENT = 1e-4
"""RMS below which a recording is no example of anything."""

KEPT = 5
"""Chunks of a clip that become examples: those around its loudest."""

SPREAD = 8
"""Chunks of a recording, at most, that say how embeddings spread."""

SHRINK = 1.0
"""Share of the mean variance that is added to every axis: what hardly ever differs tells little."""


@dataclass(frozen=True)
class Embedded:
    """Embeddings (chunks, numbers) of a recording and how loud each chunk is (RMS)."""

    recording: Recording
    embeddings: Embeddings
    levels: np.ndarray


def embed(model: Embedding, spec: AnyFrontEnd, samples: Samples) -> tuple[Embeddings, np.ndarray]:
    """Of a stream after silence, at the model's rate: embeddings (chunks, numbers), levels (chunks,)."""
    size = model.chunk * spec.hop
    count = -(-len(samples) // size)
    padded = np.pad(samples, (0, max(spec.samples_for(count * model.chunk) - len(samples), 0)))
    mels, memories = frames_of(spec, padded), [model.open()]
    found = [
        model.step_embedded(mels[None, start : start + model.chunk], memories)[1][0]
        for start in range(0, count * model.chunk, model.chunk)
    ]
    return np.stack(found), np.sqrt(block_powers(padded[: count * size], count))


def embed_recordings(bundle: Bundle, recordings: Sequence[Recording]) -> list[Embedded]:
    """Those that are not silent; of long ones the first `LONGEST` seconds."""
    spec = bundle.manifest.front_end
    model: Embedding = open_classifier(bundle)  # type: ignore[assignment]
    found = []
    for recording in tqdm(recordings, "heard", file=sys.stderr, mininterval=10):
        samples = samples_of(recording, spec.sample_rate)[: round(LONGEST * spec.sample_rate)]
        if len(samples) and rms(samples) > SILENT:
            found.append(Embedded(recording, *embed(model, spec, samples)))
    return found


def space_of(heard: Sequence[Embedded], axes: int, clips: int, seconds: float) -> tuple[SoundSpace, dict[str, int]]:
    """The space of a model whose chunks last `seconds`, and how many examples each collection gave."""
    mean, basis = spread(heard, axes)
    along = Axes(mean.astype(np.float32), basis.astype(np.float16).astype(np.float32))
    chosen = choose(heard, clips)
    names = sorted({"", *(label for one in chosen for label in one.recording.labels[:1])})
    parts = [along.place(one.embeddings[_around(one.levels)]) for one in chosen]
    space = SoundSpace(
        along,
        np.round(np.concatenate(parts) * FULL).astype(np.int8),
        np.cumsum([0, *(len(part) for part in parts)]),
        np.array([names.index(one.recording.label) for one in chosen]),
        names,
        seconds,
    )
    return space, dict(sorted(Counter(collection_of(one.recording) for one in chosen).items()))


def write_space(file: Path, space: SoundSpace, sources: dict[str, int]) -> None:
    """As `asit_edge.teach.space` reads it."""
    save_file(
        {
            "mean": space.axes.mean,
            "basis": space.axes.basis.astype(np.float16),
            "vectors": space.vectors,
            "starts": space.starts.astype(np.int32),
            "labels": space.labels.astype(np.int32),
        },
        file,
        {"about": json.dumps({"names": space.names, "seconds": space.seconds, "sources": sources})},
    )


def spread(heard: Sequence[Embedded], axes: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean (numbers,) and the axes of most variance, scaled to nearly the same one, (numbers, axes)."""
    chunks = np.concatenate([one.embeddings[:SPREAD] for one in heard]).astype(np.float64)
    mean = chunks.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov((chunks - mean).T))
    variances, directions = variances[::-1][:axes], directions[:, ::-1][:, :axes]
    # On the scale of the largest, so that 16 bits hold them.
    scale = np.sqrt((variances + SHRINK * variances.mean()) / variances[0])
    return mean, directions / scale


def choose(heard: Sequence[Embedded], most: int) -> list[Embedded]:
    """At most so many, one of each recording, of every label first one, then a second one, and so on."""
    rng = np.random.default_rng(0)
    seen: set[str] = set()
    turns: Counter[str] = Counter()
    ranked: list[tuple[int, int, Embedded]] = []
    for index in rng.permutation(len(heard)):
        one = heard[index]
        if original(one.recording) in seen:
            continue
        seen.add(original(one.recording))
        label = one.recording.label or f"?{collection_of(one.recording)}"
        ranked.append((turns[label], len(ranked), one))
        turns[label] += 1
    return [one for _, _, one in sorted(ranked, key=lambda entry: entry[:2])[:most]]


def _around(levels: np.ndarray) -> slice:
    """`KEPT` chunks in a row, the loudest one among them with what the model makes of it afterwards."""
    first = min(max(int(levels.argmax()) - 1, 0), max(len(levels) - KEPT, 0))
    return slice(first, first + KEPT)
