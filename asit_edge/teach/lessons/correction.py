"""What was heard wrongly, or not at all, out of the memory of the last hours: examples for taught sounds, corrections
for labels of the model.
"""

import hashlib
import time
from pathlib import Path
from typing import Literal

import numpy as np

from asit_edge.audio.clock import iso
from asit_edge.errors import AsitEdgeError
from asit_edge.labels import slug
from asit_edge.model.bundle import Manifest
from asit_edge.model.key import model_key
from asit_edge.teach.memory import Remembered, recall, sources_remembered
from asit_edge.teach.overlay import Correction, QualityNote, TakeNote, TaughtSound, arrays_of
from asit_edge.teach.prototype import CLIPS_A_DAY, direction_of, fitted, likeness, negative_peaks, tail_of
from asit_edge.teach.space import SoundSpace

VETOES_PER_DAY = 24.0
"""How often other sounds may be taken for what was wrong: a label that is held back for a second costs little."""

KEPT_SHARE = 0.95
"""Share of the label's own examples that a correction must leave alone."""

AFTERWARDS = 0.3
"""Seconds after a sound for which a chunk still has it."""


def moment(folder: Path, source: str | None, manifest: Manifest, begin: float, end: float) -> Remembered:
    """What is remembered of a source (None: the only one) from `begin` to `end`, in seconds since the epoch.

    Raises AsitEdgeError, with the remedy, where that is nothing.
    """
    known = sources_remembered(folder)
    if source is None and len(known) > 1:
        raise AsitEdgeError(f"several sources are remembered ({', '.join(known)}): say which one with --source")
    chosen = source or (known[0] if known else None)
    remembered = recall(folder, chosen, model_key(manifest)) if chosen else None
    found = remembered.between(begin, end + AFTERWARDS) if remembered else None
    if found is None or not len(found.times):
        what = f"of {chosen!r} from {iso(begin)} to {iso(end)}" if chosen else "of any source"
        raise AsitEdgeError(
            f"nothing is remembered {what}; asit-edge listen remembers the last hours if the configuration has "
            "`teach: {remember_hours: 24}`"
        )
    return found


def correction(
    manifest: Manifest, space: SoundSpace, label: str, kind: Literal["wrong", "missed"], found: Remembered, what: str
) -> tuple[TaughtSound, bytes]:
    """An overlay by which a label of the model is heard less, or more, when it sounds as it did there."""
    span = found.directions
    direction = direction_of([span])
    peaks = negative_peaks(space, direction)
    own = np.array([space.names[one] == label for one in space.labels])
    peak = float(likeness(span, direction).max())
    per_day = VETOES_PER_DAY if kind == "wrong" else 1.0
    tail = tail_of(peaks[~own], len(peaks) / CLIPS_A_DAY)
    prototype = fitted(direction, [peak], [tail], per_day)
    threshold = prototype.threshold
    if kind == "wrong" and own.any():
        threshold = max(threshold, float(np.quantile(peaks[own], KEPT_SHARE)))
    if peak < threshold:
        raise AsitEdgeError(
            f"{what}: it sounds too much like other sounds that are {'right' if kind == 'wrong' else 'not it'}; "
            "it would do more harm than good. Teach a sound of its own instead: asit-edge teach NAME FILE..."
        )
    arrays = arrays_of(direction, {"stream": [span], "span": [span]})
    heading = f"{'not ' if kind == 'wrong' else 'also '}{label} {iso(float(found.times[0]))}"
    sound = TaughtSound(
        name=heading,
        model=model_key(manifest),
        taught=iso(time.time()),
        alarms_per_day=per_day,
        threshold=round(threshold, 6),
        softness=round(prototype.softness, 6),
        takes=[TakeNote(name=what, content=hashlib.sha256(span.tobytes()).hexdigest(), heard=True, likeness=1.0)],
        corrects=Correction(label=label, kind=kind),
        quality=QualityNote(
            average_precision=1 / (1 + int((peaks[~own] >= peak).sum())),
            taken_for_it=int((peaks[~own] >= threshold).sum()),
            negatives=len(peaks),
        ),
        sha256=hashlib.sha256(arrays).hexdigest(),
    )
    return sound, arrays


def is_label_of(manifest: Manifest, name: str) -> str | None:
    """The model's own label of that name, however it is spelled."""
    return next((label.name for label in manifest.labels if slug(label.name) == slug(name)), None)
