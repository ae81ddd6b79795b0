"""The golden self-check: inputs that travel with a bundle, and what the lab's model answered to them.

`golden.npz` has frames (n, frames, width), named by their type, `log_mel` or `waveform`, and `scores`: (n, classes),
the last decision on each, or (n, steps, classes), all decisions on the last chunk. Bundles of `export.golden` also have
`logits` (n, chunks, classes), of the last decision on every chunk. Where the model gives embeddings, `embedding` (m,
numbers), those of the last chunk of the first m.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from asit_edge.errors import AsitEdgeError
from asit_edge.model.arrays import array_names, read_arrays
from asit_edge.model.bundle import EMBEDDING, Bundle, StreamModel
from asit_edge.model.classifier import Classifier, Embedding, Embeddings, Scores
from asit_edge.model.variant import Precision

GOLDEN = "golden.npz"
LOGITS = "logits"

AT_ONCE = 8
"""Golden streams in one step at most: a small device has not the memory for all of them."""
QUICK = 4
"""Golden streams of a quick check. Those that most labels are active in come first."""
LEAST_SPREAD = 0.25
"""A label whose golden logits differ by less (standard deviation) cannot be told from a dead one."""
CERTAIN = 1e-6
"""Probabilities nearer to 0 or 1 are taken for this near: beyond, logits say nothing."""

ROUNDING = 2e-7
"""By so much a probability in float32 may be another for nothing but the way in which it is computed."""

EXACT = 1e-3
"""Allowed difference of an fp32 probability to the golden one: processors round differently."""
MARGIN = 0.02
"""What another device may add to the golden error of a variant, or of a model that rounds within, where it was made."""
LABEL_ERROR: dict[Precision, float] = {"fp32": 0.02, "fp16": 0.05, "int8": 0.3}
"""How far a label's logits may stray from the lab's, as a share of their spread. A label that does not listen any more
strays by 1 or more."""
LABEL_ERROR_ROUNDED = 0.6
"""The same of a model that rounds within."""


@dataclass(frozen=True)
class Allowed:
    """How much of each of `Deviation`'s two is allowed."""

    error: float
    label_error: float


@dataclass(frozen=True)
class Deviation:
    """By how much answers differ from those that were expected; infinite where one is no number."""

    error: float
    """Largest difference of a probability, or of an embedding's number as a share of the largest."""
    label_error: float
    """Of the label that strays most: the root mean square of its logits' differences, as a share of their spread."""
    label: int = 0
    """Which label that is."""

    def within(self, allowed: Allowed) -> bool:
        return self.error <= allowed.error and self.label_error <= allowed.label_error

    def told(self, bundle: Bundle, allowed: Allowed) -> str:
        """In words, with what is allowed; the label is named where it is the label that strays."""
        text = f"scores differ by {self.error:.2g}, allowed are {allowed.error:.2g}"
        if self.label_error > allowed.label_error:
            name = bundle.manifest.labels[self.label].name
            text += f"; {name} strays by {self.label_error:.2g} of its spread, allowed are {allowed.label_error:.2g}"
        return text


def allowed_for(bundle: Bundle, precision: Precision) -> Allowed:
    """What a model in that precision may differ by from the golden scores, on any device."""
    manifest = bundle.manifest
    variant = manifest.variants.get(precision) if precision != "fp32" else None
    if variant is None:
        known = manifest.golden_error
        return Allowed(known + MARGIN, LABEL_ERROR_ROUNDED) if known else Allowed(EXACT, LABEL_ERROR[precision])
    strays = variant.golden_label_error
    most = LABEL_ERROR[precision] if strays is None else 2 * strays + LABEL_ERROR["fp32"]
    return Allowed(variant.golden_error + MARGIN, most)


def certain_of(bundle: Bundle) -> float:
    """The `certain` of `deviation`: of a model that rounds within, what rounding changes. Its least step above 0 is no
    sound, though far from 0 as a logit."""
    return max(CERTAIN, bundle.manifest.golden_error)


def golden_error(bundle: Bundle, classifier: Classifier) -> float:
    """The `error` of `golden_deviation`."""
    return golden_deviation(bundle, classifier).error


def golden_deviation(bundle: Bundle, classifier: Classifier, most: int | None = None) -> Deviation:
    """How far a classifier of the bundle's model is from the lab's answers to the golden inputs, or the first `most`.

    Raises AsitEdgeError if the bundle has none or they do not fit its manifest.
    """
    file = bundle.path / GOLDEN
    certain = certain_of(bundle)
    inputs, last = (values[:most] for values in _read(bundle))
    actual, embedded = golden_answers(classifier, inputs)
    if last.ndim not in (2, 3) or last.shape[-1] != actual.shape[-1] or len(last) != len(inputs):
        raise AsitEdgeError(f"{file}: scores of shape {last.shape}, but the model gives {actual.shape}")
    steps = 1 if last.ndim == 2 else last.shape[1]
    if actual.shape[1] < steps:
        raise AsitEdgeError(f"{file}: {steps} decisions on a chunk, but the model gives {actual.shape[1]}")
    expected = last.reshape(len(last), steps, -1)
    found = deviation(expected, actual[:, -steps:], certain)
    names = array_names(file)
    if LOGITS in names:
        logits = read_arrays(file, [LOGITS], "not readable")[0][:most].astype(np.float64)
        actual = actual[:, classifier.steps - 1 :: classifier.steps]
        if logits.shape != actual.shape:
            raise AsitEdgeError(f"{file}: logits of shape {logits.shape}, but the model gives {actual.shape}")
        whole = deviation(1 / (1 + np.exp(-logits)), actual, certain)
        found = Deviation(max(found.error, whole.error), whole.label_error, whole.label)
    if embedded is not None and EMBEDDING in names:
        golden = read_arrays(file, [EMBEDDING], "not readable")[0][:most]
        embedded = embedded[: len(golden)]
        if embedded.shape != golden.shape:
            raise AsitEdgeError(f"{file}: embeddings of shape {golden.shape}, but the model gives {embedded.shape}")
        apart = float(np.abs(embedded - golden).max() / max(float(np.abs(golden).max()), 1e-9))
        found = Deviation(max(found.error, _number(apart)), found.label_error, found.label)
    return found


def deviation(
    expected: npt.NDArray[np.floating], actual: npt.NDArray[np.floating], certain: float = CERTAIN
) -> Deviation:
    """How far probabilities (..., classes) are from those that were expected.

    `certain`: those nearer to 0 or 1 count as that near where labels are judged.
    """
    apart = np.abs(actual.astype(np.float64) - expected)
    if not np.isfinite(apart).all():
        return Deviation(np.inf, np.inf, int(np.argmin(np.isfinite(apart).all(axis=tuple(range(apart.ndim - 1))))))
    strayed = label_errors(expected, actual, certain)
    worst = int(strayed.argmax())
    return Deviation(float(apart.max()), float(strayed[worst]), worst)


def label_errors(
    expected: npt.NDArray[np.floating], actual: npt.NDArray[np.floating], certain: float = CERTAIN
) -> npt.NDArray[np.float64]:
    """How far each label's logits strayed, (classes,): root mean square of the differences, less what is rounded, over
    the expected ones' standard deviation; 0 of a label whose expected logits hardly differ."""
    wanted, found = (logits_of(scores, certain).reshape(-1, scores.shape[-1]) for scores in (expected, actual))
    spread = wanted.std(axis=0)
    rounded = ROUNDING * (2 + 2 * np.cosh(wanted))  # a logit changes so much for one of a probability
    strayed = np.sqrt(np.square(np.maximum(np.abs(found - wanted) - rounded, 0)).mean(axis=0))
    return np.where(spread >= LEAST_SPREAD, strayed / np.maximum(spread, LEAST_SPREAD), 0.0)


def logits_of(scores: npt.NDArray[np.floating], certain: float = CERTAIN) -> npt.NDArray[np.float64]:
    """Of probabilities; those nearer to 0 or 1 than `certain`, below 0.5, count as that near."""
    clipped = np.clip(scores.astype(np.float64), certain, 1 - certain)
    return np.log(clipped / (1 - clipped))


def never_active(bundle: Bundle) -> list[str] | None:
    """Labels that are at their on-threshold in no golden input: whether they are heard when they should be, nothing
    says. None where the golden inputs do not tell, or there are none.
    """
    file = bundle.path / GOLDEN
    if GOLDEN not in bundle.manifest.files or LOGITS not in array_names(file):
        return None
    [logits] = read_arrays(file, [LOGITS], "not readable")
    highest = logits.reshape(-1, logits.shape[-1]).max(axis=0)
    labels = bundle.manifest.labels
    on = logits_of(np.array([label.on_threshold for label in labels]))
    return [label.name for label, logit, least in zip(labels, highest, on, strict=True) if logit < least]


def golden_inputs(bundle: Bundle) -> npt.NDArray[np.float32]:
    """The golden windows or streams (n, frames, width); in a bundle without any, silence and noise."""
    if GOLDEN in bundle.manifest.files:
        return _read(bundle)[0]
    front_end, shape = bundle.manifest.front_end, bundle.manifest.model
    frames = shape.frames * (6 if isinstance(shape, StreamModel) else 1)
    levels = np.linspace(0, 1, 8, dtype=np.float32)[:, None, None]
    noise = np.random.default_rng(0).random((8, frames, front_end.width), np.float32)
    return (np.float32(front_end.silence) + levels * noise).astype(np.float32)


def golden_scores(classifier: Classifier, inputs: npt.NDArray[np.float32], at_once: int = AT_ONCE) -> Scores:
    """As `golden_answers`, without the embeddings."""
    return golden_answers(classifier, inputs, at_once)[0]


def golden_answers(
    classifier: Classifier, inputs: npt.NDArray[np.float32], at_once: int = AT_ONCE
) -> tuple[Scores, Embeddings | None]:
    """All decisions (n, decisions, classes) on streams (n, frames, width) that begin after silence, and the embeddings
    (n, numbers) of their last chunks where there are any. `at_once` streams make a step.

    The frames are whole chunks; for a window model they are one window.
    """
    parts = [_follow(classifier, inputs[start : start + at_once]) for start in range(0, len(inputs), at_once)]
    embedded = [part[1] for part in parts if part[1] is not None]
    scores = np.concatenate([part[0] for part in parts]) if parts else np.zeros((0, 0, 0), np.float32)
    return scores, np.concatenate(embedded) if embedded else None


def _follow(classifier: Classifier, inputs: npt.NDArray[np.float32]) -> tuple[Scores, Embeddings | None]:
    memories = [classifier.open() for _ in inputs]
    decisions: list[Scores] = []
    embedded = None
    for start in range(0, inputs.shape[1], classifier.chunk):
        chunks = inputs[:, start : start + classifier.chunk]
        if getattr(classifier, "embedding", None) is None:
            scores = classifier.step(chunks, memories)
        else:
            scores, embedded = cast(Embedding, classifier).step_embedded(chunks, memories)
        decisions.append(scores)
    return np.concatenate(decisions, axis=1), embedded


def _number(value: float) -> float:
    return value if np.isfinite(value) else float("inf")


def _read(bundle: Bundle) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    file = bundle.path / GOLDEN
    if GOLDEN not in bundle.manifest.files:
        raise AsitEdgeError(f"{bundle.path}: has no {GOLDEN}, so nothing can be checked against the lab")
    inputs, scores = read_arrays(file, (bundle.manifest.front_end.type, "scores"), "not readable")
    return inputs, scores
