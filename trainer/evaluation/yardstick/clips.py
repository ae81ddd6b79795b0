"""Short labelled clips out of collections, few of each label and of as many recordings as there are; how well a model
orders them. A closed set: what a model does not know it never answers.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from asit_edge.audio.samples import Samples
from trainer.data.dataset import SHORTEST, Dataset
from trainer.data.decode import LazyClips, length_of
from trainer.data.left_out import original
from trainer.data.recording import Recording, Role
from trainer.evaluation.families import covered
from trainer.evaluation.metrics import average_precision, bootstrap, mean_average_precision
from trainer.evaluation.scoring import SoundModel

LONGEST = 10.0
"""Seconds of a clip; of a longer recording these in its middle."""
MOST, FEWEST = 12, 2
"""Clips of a label."""


def choose_clips(
    name: str,
    recordings: Sequence[Recording],
    labels: Sequence[str],
    total: int | None = None,
    longer: bool = True,
    fewest: int = FEWEST,
) -> Dataset:
    """Clips of those labels, and of kinds of them, each under the one label that it has.

    Of a label at most `MOST` (fewer where all together would be more than `total`), in an order that only names decide:
    one of each recording first, then a second one. `longer`: also out of recordings of more than `LONGEST` s.
    """
    by_label: defaultdict[str, list[Recording]] = defaultdict(list)
    for one in recordings:
        if one.role is Role.SOUND and len(one.labels) == 1 and covered(one.label, labels):
            clip = _clip(one)
            if clip is not None and (longer or clip is one):
                by_label[one.label].append(clip)
    kept = {label: _spread(clips) for label, clips in sorted(by_label.items()) if len(clips) >= fewest}
    most = next(
        most
        for most in range(MOST, 0, -1)
        if total is None or most == 1 or sum(min(len(clips), most) for clips in kept.values()) <= total
    )
    return Dataset(name, [one for clips in kept.values() for one in clips[:most]], list(kept))


def _clip(one: Recording) -> Recording | None:
    """The recording or its middle; None where there is nothing to hear."""
    seconds = length_of(one)
    if seconds is None or seconds < SHORTEST:
        return None
    if seconds <= LONGEST + 0.05:
        return one
    return replace(one, start=one.start + (seconds - LONGEST) / 2, seconds=LONGEST)


def _spread(clips: Sequence[Recording]) -> list[Recording]:
    """In an order in which no recording comes a second time before all have come once."""
    seen: Counter[str] = Counter()
    places: list[tuple[int, int, Recording]] = []
    for one in sorted(clips, key=lambda one: hashlib.sha256(one.name.encode()).digest()):
        places.append((seen[original(one)], len(places), one))
        seen[original(one)] += 1
    return [one for _, _, one in sorted(places, key=lambda place: place[:2])]


def columns_for(scores: Samples, model: SoundModel, labels: Sequence[str], unknown: float = 0.0) -> Samples:
    """Scores (n, the model's labels) as (n, labels); `unknown` where the model has no such label."""
    places = {label.name: place for place, label in enumerate(model.labels)}
    found = np.full((len(scores), len(labels)), unknown, np.float32)
    for column, label in enumerate(labels):
        if label in places:
            found[:, column] = scores[:, places[label]]
    return found


def unknown_labels(model: SoundModel, labels: Sequence[str]) -> list[str]:
    known = {label.name for label in model.labels}
    return [label for label in labels if label not in known]


def clip_quality(model: SoundModel, clips: Dataset) -> dict[str, Any]:
    """Top-1 and mean average precision in a closed set, with 95 % intervals over recordings, and what they are of."""
    scores = model.clips(LazyClips(clips.recordings, model.spec.sample_rate))
    scores = columns_for(scores, model, clips.categories)
    truth = clips.targets > 0
    right = (scores.argmax(axis=1) == truth.argmax(axis=1)) & (scores.max(axis=1) > 0)
    groups = [original(one) for one in clips.recordings]
    return {
        "clips": len(clips.recordings),
        "labels": len(clips.categories),
        "unknown": unknown_labels(model, clips.categories),
        "top1": asdict(bootstrap(lambda chosen: float(right[chosen].mean()), groups)),
        "map": asdict(bootstrap(lambda chosen: mean_average_precision(scores[chosen], truth[chosen]), groups, 200)),
        "by_label": {
            label: {
                "clips": int(truth[:, column].sum()),
                "right": int(right[truth[:, column]].sum()),
                "ap": average_precision(scores[:, column], truth[:, column]),
            }
            for column, label in enumerate(clips.categories)
        },
    }
