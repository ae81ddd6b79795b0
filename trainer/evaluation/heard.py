"""Which clips a checkpoint knows already, by their content: those that it was trained on, chosen by, or tested on."""

from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data.dataset import Dataset
from trainer.evaluation.content import BITS, Sketches, found_in, sketches
from trainer.run.checkpoint import read_file

HEARD = "heard"
"""Key of a checkpoint's record under which it says so."""

TRAINED, CHOSEN, TESTED = "trained on", "used for choosing weights and thresholds", "tested on"
"""Why a clip is left out."""

RELATED = "of the same recordings"
"""A clip of a recording (a group) of which another clip is left out."""

BY_NAME = "trained on, as far as names tell"
"""The same of a checkpoint that does not say it by content."""


@dataclass(frozen=True)
class Heard:
    """The clips of a run by what they were for."""

    training: Sketches
    validation: Sketches
    test: Sketches

    def plain(self) -> dict[str, str]:
        """As text, 43 characters a clip; `heard_by` reads it."""
        return {part: b64encode(content.tobytes()).decode() for part, content in vars(self).items()}

    @property
    def before_testing(self) -> dict[str, Sketches]:
        """What no test may have."""
        return {TRAINED: self.training, CHOSEN: self.validation}

    @property
    def before_choosing(self) -> dict[str, Sketches]:
        """What no choice of thresholds may have: it would be flattered, or the test would."""
        return {TRAINED: self.training, TESTED: self.test}


def heard_by(record: Mapping[str, Any]) -> Heard | None:
    """What a checkpoint's record says; None where it is of a version, or of a kind, that does not say."""
    if HEARD not in record:
        return None
    parts = {part: np.frombuffer(b64decode(text), np.uint8) for part, text in record[HEARD].items()}
    return Heard(**{part: content.reshape(-1, BITS // 8) for part, content in parts.items()})


def heard_before(initial: str | None) -> Sketches:
    """What the weights that a run begins with have been trained on or chosen by, as far as their file tells."""
    report = read_file(Path(initial)).get("report") if initial is not None else None
    heard = heard_by(report) if isinstance(report, Mapping) else None
    return np.concatenate((heard.training, heard.validation)) if heard else np.zeros((0, BITS // 8), np.uint8)


@dataclass(frozen=True)
class Kept:
    """What is left of a data set."""

    indices: list[int]
    left_out: dict[str, int]
    """Clips by why they are not among them."""

    def __str__(self) -> str:
        """Why clips are left out, "" where none is."""
        left = sum(self.left_out.values())
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items())
        return f"{left} of {left + len(self.indices)} clips left out, which it knows: {reasons}" if left else ""


def without(dataset: Dataset, contents: Sketches, known: Mapping[str, Sketches]) -> Kept:
    """The clips of a data set that have the content of none that is `known`, by why it is; `contents` are theirs.

    Other clips of the same recordings go with them, except where a publisher has split the data.
    """
    why: dict[int, str] = {}
    for reason, there in known.items():
        why = {int(index): reason for index in np.flatnonzero(found_in(contents, there))} | why
    groups = dataset.groups
    known_groups = {groups[index] for index in why}
    for index, (one, group) in enumerate(zip(dataset.recordings, groups, strict=True)):
        if group in known_groups and one.part is None:
            why.setdefault(index, RELATED)
    left_out = Counter(why.values())
    ordered = {reason: left_out[reason] for reason in (*known, RELATED) if left_out[reason]}
    return Kept([index for index in range(len(dataset.recordings)) if index not in why], ordered)


def unheard(dataset: Dataset, record: Mapping[str, Any]) -> Kept:
    """The clips to test a checkpoint on: none that it was trained on or chosen by, as far as its record tells."""
    heard = heard_by(record)
    if heard is not None:
        return without(dataset, sketches(dataset.recordings), heard.before_testing)
    tested = set(record.get("tested_on", ())) if record.get("data") == dataset.name else set()
    kept = [index for index, group in enumerate(dataset.groups) if group in tested]
    if not kept:
        return Kept(list(range(len(dataset.recordings))), {})
    rest = len(dataset.recordings) - len(kept)
    return Kept(kept, {BY_NAME: rest} if rest else {})


def cannot_know(name: str, data: str) -> str:
    """What to say of a model whose record does not tell."""
    return (
        f"{name}: does not say what it was trained on (checkpoints of trainer.finetune do; older ones, distilled "
        f"students and bundles do not), so it cannot be known whether clips of {data} were among it; if they were, "
        "the figures are too good"
    )
