"""Where sounds lie: a model's embeddings, made comparable by what thousands of other sounds are like.

A bundle that can be taught brings `negatives.safetensors`, written by the lab (`export.negatives`):

    mean (numbers,), basis (numbers, axes)   from an embedding to the axes along which sounds differ, equally scaled
    vectors (n, axes) int8                   directions of chunks of thousands of clips, 127 for 1
    starts (clips + 1,), labels (clips,)     a clip's rows of `vectors`; its number in the list of names
    metadata: names, seconds (of a chunk), sources

No audio can be made of it. Only the direction of a sound counts: how loud it is does not.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from asit_edge.model.bundle import Bundle
from asit_edge.model.classifier import Embeddings

NEGATIVES = "negatives.safetensors"
FULL = 127
"""What stands for 1 in whole numbers."""

Directions = npt.NDArray[np.float32]
"""Unit vectors (n, axes)."""


@dataclass(frozen=True)
class Axes:
    """From embeddings to directions: all that a listener needs of the file."""

    mean: npt.NDArray[np.float32]
    basis: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return self.basis.shape[1]

    @cached_property
    def _middle(self) -> npt.NDArray[np.float32]:
        return self.mean @ self.basis

    def place(self, embeddings: Embeddings) -> Directions:
        """Embeddings (..., numbers) to directions (..., axes)."""
        moved = embeddings @ self.basis - self._middle
        lengths = np.sqrt((moved * moved).sum(axis=-1, keepdims=True))
        directions: Directions = moved / np.maximum(lengths, np.float32(1e-9))
        return directions


@dataclass(frozen=True)
class SoundSpace:
    """The axes, and along them the sounds that nobody wants to be told of."""

    axes: Axes
    vectors: npt.NDArray[np.int8]
    starts: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    names: list[str]
    seconds: float
    """How long a chunk lasts."""

    @property
    def hours(self) -> float:
        """How much sound the vectors are of."""
        return len(self.vectors) * self.seconds / 3600

    @cached_property
    def in_clips(self) -> npt.NDArray[np.bool_]:
        """Which places of (clips, chunks of the longest clip) have a vector."""
        lengths = np.diff(self.starts)
        return np.arange(int(lengths.max())) < lengths[:, None]

    def similarities(self, direction: Directions) -> npt.NDArray[np.float32]:
        """Cosines (n,) of all vectors with one direction (axes,), a part at a time: as floats they are large."""
        parts = np.array_split(self.vectors, max(len(self.vectors) // 4096, 1))
        scale = np.float32(1 / FULL)
        return np.concatenate([(part.astype(np.float32) * scale) @ direction for part in parts])


def can_be_taught(bundle: Bundle) -> bool:
    return NEGATIVES in bundle.manifest.files


def load_axes(bundle: Bundle) -> Axes:
    """Raises WrongUse for a bundle that cannot be taught, AsitEdgeError if its negatives are damaged."""
    arrays, _ = _read(bundle, ("mean", "basis"))
    return _axes(bundle, arrays)


def load_space(bundle: Bundle) -> SoundSpace:
    """Raises WrongUse for a bundle that cannot be taught, AsitEdgeError if its negatives are damaged."""
    arrays, about = _read(bundle, ("mean", "basis", "vectors", "starts", "labels"))
    try:
        names, seconds = [str(name) for name in about["names"]], float(about["seconds"])
    except (KeyError, ValueError, TypeError):
        raise _damaged(bundle, "it does not say what it holds") from None
    axes, starts, labels = _axes(bundle, arrays), arrays["starts"], arrays["labels"]
    vectors = arrays["vectors"]
    fits = (
        vectors.dtype == np.int8
        and vectors.shape == (starts[-1], len(axes))
        and len(labels) == len(starts) - 1 > 0
        and starts[0] == 0
        and bool((np.diff(starts) > 0).all())
        and 0 <= labels.min() <= labels.max() < len(names)
        and seconds > 0
    )
    if not fits:
        raise _damaged(bundle, "its arrays do not belong together")
    return SoundSpace(axes, vectors, starts.astype(np.int64), labels.astype(np.int64), names, seconds)


def _read(bundle: Bundle, wanted: Sequence[str]) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    if not can_be_taught(bundle):
        raise WrongUse(
            f"{bundle.manifest.name}: cannot be taught (it has no {NEGATIVES}); take a bundle that can, such as "
            "--model asit-warm-tiny, or make one with python -m export.negatives"
        )
    try:
        with safe_open(bundle.path / NEGATIVES, "numpy") as stored:
            about = json.loads(stored.metadata()["about"])
            return {name: stored.get_tensor(name) for name in wanted}, about
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(bundle, one_line(error)) from None


def _axes(bundle: Bundle, arrays: Mapping[str, npt.NDArray[Any]]) -> Axes:
    mean, basis = arrays["mean"].astype(np.float32), arrays["basis"].astype(np.float32)
    numbers = bundle.stream.embedding
    if mean.shape != (numbers,) or basis.ndim != 2 or len(basis) != numbers or not basis.shape[1]:
        raise _damaged(bundle, "its axes do not fit the model")
    if not (np.isfinite(mean).all() and np.isfinite(basis).all()):
        raise _damaged(bundle, "it holds what is no number")
    return Axes(mean, basis)


def _damaged(bundle: Bundle, why: str) -> AsitEdgeError:
    return AsitEdgeError(f"{bundle.path / NEGATIVES}: cannot be used ({why}); copy the whole bundle again")
