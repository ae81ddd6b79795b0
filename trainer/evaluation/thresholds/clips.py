"""Thresholds of a fine-tuned checkpoint from labelled recordings that it has neither learnt from nor been tested on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asit_edge.errors import WrongUse
from trainer.data.dataset import Dataset
from trainer.evaluation.content import sketches
from trainer.evaluation.evidence import Evidence, evidence, plural
from trainer.evaluation.heard import Heard, Kept, heard_by, without
from trainer.evaluation.results import columns_of
from trainer.evaluation.scoring import ScoringModel, open_model
from trainer.evaluation.selection import choose_thresholds


@dataclass(frozen=True)
class Chosen:
    """Thresholds, label to [on, off], and what they rest on."""

    thresholds: dict[str, list[float]]
    kept: Kept
    found: list[Evidence]
    heard: Heard | None
    """None: it cannot be known whether the recordings were trained on."""
    source: str

    def facts(self) -> dict[str, Any]:
        """For `export.bundle`."""
        return {"thresholds": self.thresholds, "metrics": {"thresholds_from": self.source}}


def thresholds_from(checkpoint: Path, datasets: Sequence[Dataset]) -> Chosen:
    """Chooses thresholds for the classes that the data tell something about.

    Raises WrongUse where the data have a label that the checkpoint lacks, or nothing is left to choose by.
    """
    model = open_model(checkpoint)
    dataset = joined(model, datasets)
    heard = heard_by(model.record)
    kept = Kept(list(range(len(dataset.recordings))), {})
    if heard is not None:
        kept = without(dataset, sketches(dataset.recordings), heard.before_choosing)
    if not kept.indices:
        raise WrongUse(
            f"{dataset.name}: nothing to choose by ({kept}); give recordings that {checkpoint} has not heard"
        )
    own = dataset.choose(kept.indices)
    thresholds = choose_thresholds(model, own, own.load(model.spec.sample_rate))
    if not thresholds:
        raise WrongUse(f"{dataset.name}: no class is in some of the {len(kept.indices)} clips and not in the others")
    source = f"{plural(len(set(own.groups)))} of {dataset.name}"
    return Chosen(thresholds, kept, evidence(own), heard, source)


def joined(model: ScoringModel, datasets: Sequence[Dataset]) -> Dataset:
    """Data sets as one that has the model's classes in the model's order. WrongUse names a label that it lacks."""
    for dataset in datasets:
        columns_of(model, dataset, others=False)
    recordings = [one for dataset in datasets for one in dataset.recordings]
    name = ", ".join(dataset.name for dataset in datasets)
    made = Dataset(name, recordings, [label.name for label in model.labels], single_label=False)
    if not made.strong:
        return replace(made, recordings=[replace(one, events=None) for one in recordings])
    return made
