"""Golden inputs of a bundle, made from the bundle itself: no checkpoint and no torch is needed."""

import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from operator import not_
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError
from asit_edge.model.backends.build import refuse_damaged
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import EMBEDDING, Bundle, Manifest, StreamModel, load_bundle, sha256, write_manifest
from asit_edge.model.classifier import Classifier
from asit_edge.model.front_ends import frames_of
from asit_edge.model.golden import (
    AT_ONCE,
    GOLDEN,
    LABEL_ERROR,
    LOGITS,
    QUICK,
    Allowed,
    deviation,
    golden_answers,
    logits_of,
)
from asit_edge.model.variant import Variant
from export.card import CARD, model_card
from export.golden import TRIES
from export.golden.search import CLEAR, search
from export.golden.sounds import LICENCE, quiet, seeds
from export.golden.variations import Frames, varied

ATTRIBUTION = "golden-sounds.md"
"""In a bundle: whose recordings its golden inputs were made from."""

STREAM_FRAMES = 128
"""Of a golden stream, made up to whole chunks."""
GRIDS = {"log_mel": 8, "waveform": 4096}
"""Golden inputs are whole parts of 1 / this: sounds with all their digits do not compress."""
MOST_BYTES = 380_000
FEWEST = 6
"""Sounds among golden inputs at least, whatever they make active."""
EMBEDDED = 8
"""Golden streams whose embeddings travel along."""


@dataclass(frozen=True)
class Goldens:
    """What was made for a bundle."""

    inputs: npt.NDArray[np.float32]
    bytes: int
    active: list[str]
    unchecked: list[str]
    """Labels that no golden input makes active."""


def write_golden(path: Path, tries: int = TRIES) -> Goldens:
    """Makes a bundle's golden inputs anew, from its own fp32 model, and puts them into it.

    Raises AsitEdgeError if the model does not give the golden scores that it has: what is damaged is not vouched for.
    """
    bundle = load_bundle(path)
    classifier = open_classifier(bundle.at("fp32"))
    if GOLDEN in bundle.manifest.files:
        refuse_damaged(bundle, "fp32", classifier)
    made = make_golden(bundle, classifier, tries)
    contents, kept = _packed(bundle, classifier, made)
    variants = _measured_again(bundle, classifier, kept)
    (path / GOLDEN).write_bytes(contents)
    shutil.copy(LICENCE, path / ATTRIBUTION)
    names = sorted({*bundle.manifest.files, GOLDEN, ATTRIBUTION})
    files = {name: sha256(path / name) for name in names}
    manifest = bundle.manifest.model_copy(update={"files": files, "variants": variants})
    if (path / CARD).is_file():
        (path / CARD).write_text(model_card(manifest), encoding="utf-8")
    write_manifest(path, manifest)
    refuse_damaged(load_bundle(path), "fp32", classifier)
    highest = _every_chunk(classifier, golden_answers(classifier, kept)[0]).max(axis=(0, 1))
    active = (logits_of(np.atleast_1d(highest)) >= _thresholds(manifest)).tolist()
    named = [label.name for label in manifest.labels]
    return Goldens(kept, len(contents), list(compress(named, active)), list(compress(named, map(not_, active))))


def _measured_again(bundle: Bundle, classifier: Classifier, inputs: Frames) -> dict[Any, Variant]:
    """The bundle's variants, with what they differ by on new golden inputs. Raises AsitEdgeError if it is too much."""
    expected, measured = golden_answers(classifier, inputs)[0], {}
    for precision, variant in bundle.manifest.variants.items():
        lowered = open_classifier(bundle.at(precision))
        if GOLDEN in bundle.manifest.files:
            refuse_damaged(bundle.at(precision), precision, lowered)
        found, allowed = deviation(expected, golden_answers(lowered, inputs)[0]), Allowed(1.0, LABEL_ERROR[precision])
        if not found.within(allowed):
            raise AsitEdgeError(
                f"{bundle.path / variant.file}: is not what model.onnx is ({found.told(bundle, allowed)}); make it "
                "anew with python -m export.variants; nothing was changed"
            )
        update = {"golden_error": found.error, "golden_label_error": found.label_error}
        measured[precision] = variant.model_copy(update=update)
    return measured


def _every_chunk(classifier: Classifier, scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The last decision on each chunk: what golden logits are of."""
    return scores[:, classifier.steps - 1 :: classifier.steps]


def make_golden(bundle: Bundle, classifier: Classifier, tries: int) -> Frames:
    """Golden inputs (n, frames, width): those that most labels are active in first, with silence and faint noise."""
    front_end, shape = bundle.manifest.front_end, bundle.manifest.model
    chunk = shape.frames
    frames = -(-STREAM_FRAMES // chunk) * chunk if isinstance(shape, StreamModel) else chunk
    length, rate = front_end.samples_for(frames), front_end.sample_rate
    grid = np.float32(GRIDS[front_end.type])
    on = _thresholds(bundle.manifest)
    lowest = np.float32(front_end.silence if front_end.type == "log_mel" else -1.0)

    def rounded(frames: Frames) -> Frames:
        return np.maximum(np.round(frames * grid) / grid, np.round(lowest * grid) / grid)

    def margins(sounds: Sequence[Frames]) -> npt.NDArray[np.float64]:
        scores = golden_answers(classifier, np.stack(sounds), at_once=32)[0]
        return logits_of(_every_chunk(classifier, scores)) - on

    def judge(sounds: Sequence[Frames]) -> npt.NDArray[np.float64]:
        return margins(sounds).max(axis=1)

    def vary(sound: Frames, others: Sequence[Frames], rng: np.random.Generator) -> Frames:
        return rounded(varied(front_end.type, sound, others, rng))

    def framed(sounds: Sequence[Samples]) -> list[Frames]:
        return [rounded(frames_of(front_end, sound)) for sound in sounds]

    begun = framed(seeds(length, rate))
    chosen = search(judge, vary, begun, tries)
    chosen += begun[: max(FEWEST - len(chosen), 0)]
    if isinstance(shape, StreamModel) and chosen:
        chosen = _ended(chosen, margins(chosen) >= CLEAR, chunk, framed(quiet(length, rate)[:1])[0])
    return np.stack([*chosen[: QUICK - 1], *framed(quiet(length, rate)), *chosen[QUICK - 1 :]])


def _ended(sounds: Sequence[Frames], active: npt.NDArray[np.bool_], chunk: int, silence: Frames) -> list[Frames]:
    """Silence follows where a sound of a stream has made its labels active: (sounds, chunks, labels)."""
    new = np.ones(active.shape[2], np.bool_)
    made = []
    for sound, chunks in zip(sounds, active, strict=True):
        needed = int(chunks[:, new & chunks.any(axis=0)].argmax(axis=0).max(initial=0)) + 1
        made.append(np.concatenate((sound[: needed * chunk], silence[needed * chunk :])))
        new &= ~chunks[:needed].any(axis=0)
    return made


def _packed(
    bundle: Bundle, classifier: Classifier, inputs: npt.NDArray[np.float32]
) -> tuple[bytes, npt.NDArray[np.float32]]:
    """The file's bytes, and the inputs in it: the last ones are left out where all would be too many bytes."""
    scores, embedded = golden_answers(classifier, inputs)
    count = len(inputs)
    while True:
        arrays: dict[str, Any] = {
            bundle.manifest.front_end.type: inputs[:count],
            "scores": scores[:count, -1],
            LOGITS: logits_of(_every_chunk(classifier, scores[:count])).astype(np.float16),
        }
        if embedded is not None:
            arrays[EMBEDDING] = embedded[: min(count, EMBEDDED)]
        held = io.BytesIO()
        np.savez_compressed(held, **arrays)
        size = held.tell()
        if size <= MOST_BYTES or count <= AT_ONCE:
            return held.getvalue(), inputs[:count]
        count = max(min(count - 1, int(count * MOST_BYTES / size)), AT_ONCE)


def _thresholds(manifest: Manifest) -> npt.NDArray[np.float64]:
    return logits_of(np.array([label.on_threshold for label in manifest.labels]))
