"""A declared model put into a bundle: fitted, compared with the original on sounds, described, loaded once."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from pydantic import ValidationError

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from asit_edge.model.backends.onnx import OnnxWindows
from asit_edge.model.bundle import MODEL, Manifest, load_bundle, sha256, write_manifest
from asit_edge.model.front_ends import frames_of
from asit_edge.model.frontend import Frames
from asit_edge.model.golden import EXACT, GOLDEN
from asit_edge.validation import explain
from export.adopting.declaration import Declaration, read_declaration
from export.adopting.fitting import core_of, fit
from export.adopting.labels import declared_labels
from export.adopting.original import Original, open_original
from export.adopting.sounds import choose_golden, made_sounds, real_sounds
from export.bundling import in_place_when_done
from export.card import ADOPTED, CARD, NOTICE, model_card

GOLDEN_GRID = np.float32(32)
"""Golden log-mel are whole parts of 1 / this."""
BATCH = 8

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Adopted:
    """A bundle that was made, and what its golden inputs hold."""

    manifest: Manifest
    active: list[str]
    """Labels that are active in the golden inputs."""


def adopt(file: Path, out: Path) -> Adopted:
    """Makes a bundle of what a declaration names.

    Nothing is written unless the bundle computes what the original does, on made sounds and on the demonstration
    recording, alone and in batches. Raises WrongUse where the declaration is not right, AsitEdgeError where the model
    cannot be adopted.
    """
    told = read_declaration(file)
    try:
        manifest = _planned(told)
    except WrongUse as error:
        raise WrongUse(f"{file}: {error}") from None
    except ValidationError as error:
        raise WrongUse(f"{file}: {explain(error, Manifest)}") from None
    original = open_original(told, len(manifest.labels))
    front_end = told.framing.front_end
    made, real = _windows(told)
    frames = np.concatenate((made, real))
    expected = _probabilities(_original_scores(original, frames, told), told)
    golden = choose_golden(expected[: len(made)])
    with in_place_when_done(out) as work:
        onnx.save(fit(original.model, original.ends, told, len(manifest.labels)), str(work / MODEL))
        golden_arrays: dict[str, Any] = {front_end.type: frames[golden], "scores": expected[golden]}
        np.savez_compressed(work / GOLDEN, **golden_arrays)
        if told.notice is not None:
            shutil.copy(told.notice, work / NOTICE)
        manifest = manifest.model_copy(update={"files": {one.name: sha256(one) for one in sorted(work.iterdir())}})
        write_manifest(work, manifest)
        differences = np.abs(_scores(OnnxWindows(load_bundle(work)), frames, told) - expected)
        difference = float(differences.max())
        if not difference <= original.allowed:
            raise AsitEdgeError(
                f"{told.model}: in a bundle it does not compute what it does on its own ({original.runtime}): "
                f"probabilities differ by {difference:.2g}, allowed are {original.allowed:g}; no bundle was written"
            )
        measured = {
            "compared_with": f"the original ({original.runtime}) on {len(made)} made sounds and {len(real)} real ones",
            "largest_difference_of_a_probability": float(f"{difference:.2g}"),
            "mean_difference": float(f"{differences.mean():.2g}"),
        }
        rounding = max(float(differences[golden].max()), EXACT) if original.rounds else 0.0
        manifest = manifest.model_copy(update={"metrics": measured, "golden_error": rounding})
        (work / CARD).write_text(model_card(manifest), encoding="utf-8")
        write_manifest(work, manifest)
    return Adopted(manifest, active_labels(manifest, expected[golden]))


def active_labels(manifest: Manifest, scores: Scores) -> list[str]:
    """Those that are active in any of these (n, classes)."""
    best = scores.max(axis=0)
    return [label.name for label, score in zip(manifest.labels, best, strict=True) if score >= label.on_threshold]


def _planned(told: Declaration) -> Manifest:
    """All of the manifest but what is measured and the hashes of the files. Raises WrongUse, ValidationError."""
    front_end, shape = told.framing
    return Manifest(
        name=told.name,
        version=told.version,
        license=told.license,
        labels=declared_labels(told),
        front_end=front_end,
        model=shape,
        files={MODEL: ""},
        training={ADOPTED: told.source, "file": told.model.name, "file_sha256": sha256(told.model)},
    )


def _windows(told: Declaration) -> tuple[Frames, Frames]:
    """Made and real sounds as the model's windows, each (n, frames, width)."""
    front_end, shape = told.framing
    length = front_end.samples_for(shape.frames)

    def framed(sounds: list[Samples]) -> Frames:
        return np.array([frames_of(front_end, one) for one in sounds], np.float32)

    made = framed(made_sounds(length, front_end.sample_rate))
    if front_end.type == "log_mel":
        made = np.round(made * GOLDEN_GRID) / GOLDEN_GRID
    real = framed(real_sounds(length, front_end.sample_rate))
    return made, real.reshape(-1, *made.shape[1:])  # none where the window is longer than the recording


def _original_scores(original: Original, frames: Frames, told: Declaration) -> Scores:
    """Raises AsitEdgeError."""
    try:
        return original.score(frames.reshape(-1, *core_of(told)))
    except Exception as error:  # the runtimes raise a dozen types without a common base
        raise AsitEdgeError(f"{told.model}: {original.runtime} cannot run it ({one_line(error)[:300]})") from None


def _probabilities(scores: Scores, told: Declaration) -> Scores:
    """Of what the original gave. Raises WrongUse where it cannot be what is declared, AsitEdgeError for no numbers."""
    if not np.isfinite(scores).all():
        raise AsitEdgeError(f"{told.model}: gives values that are no numbers")
    low, high = float(scores.min()), float(scores.max())
    within = low >= 0 and high <= 1
    given = f"{told.model}: gives values from {low:.3g} to {high:.3g}"
    if told.output == "probabilities" and not within:
        raise WrongUse(f"{given}, which are no probabilities; declare output: logits if a sigmoid makes them so")
    if told.output == "logits" and within:
        raise WrongUse(f"{given}, which look like probabilities already; declare output: probabilities")
    if told.output == "probabilities":
        return scores
    probabilities: Scores = (1 / (1 + np.exp(-scores.astype(np.float64)))).astype(np.float32)
    return probabilities


def _scores(model: OnnxWindows, frames: Frames, told: Declaration) -> Scores:
    """In batches and, the first of each batch, alone. Raises AsitEdgeError for a model that takes no batches."""
    scores = []
    try:
        for start in range(0, len(frames), BATCH):
            together = model.score(frames[start : start + BATCH])
            alone = model.score(frames[start : start + 1])
            scores += [alone, together[1:]]
    except Exception as error:  # ONNX Runtime raises a dozen types without a common base of its own
        raise AsitEdgeError(
            f"{told.model}: its first axis is open, but it does not take {BATCH} windows at once; export it with a "
            f"batch of 1, and windows are given to it one by one ({one_line(error)[:200]})"
        ) from None
    return np.concatenate(scores)
