"""Checkpoints and bundles behind one door: what a device would score, and the events that it would make of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from asit_edge.audio.samples import Samples
from asit_edge.config.events import Events
from asit_edge.detect.class_settings import class_settings
from asit_edge.detect.clip_scores import clip_scores
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.errors import AsitEdgeError
from asit_edge.labels import Label
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import load_bundle
from asit_edge.model.classifier import Classifier
from asit_edge.model.front_ends import AnyFrontEnd, frames_of
from trainer.data.mixing import fitted
from trainer.evaluation.decisions import decision_scores, decisions
from trainer.evaluation.detection import Timeline
from trainer.finetuning.checkpoint import load_finetuned
from trainer.finetuning.config import FinetuneConfig
from trainer.models.device import TorchWindows, WindowScores, device_classifier
from trainer.models.finetuned import FinetunedNetwork
from trainer.run.checkpoint import checkpoint_kind
from trainer.students.student import STUDENT, load_student

DEFAULT_ON, DEFAULT_OFF = 0.5, 0.3
"""Scores at which an event starts, and below which it ends, where a checkpoint has no thresholds of its own."""


class SoundModel(Protocol):
    """Whatever scores sound over time and clips as wholes: ours (`ScoringModel`), or somebody else's."""

    @property
    def name(self) -> str: ...

    @property
    def labels(self) -> list[Label]: ...

    @property
    def spec(self) -> AnyFrontEnd:
        """Its rate is the one at which it takes samples."""
        ...

    @property
    def classes(self) -> list[ClassSettings | None]:
        """How a device makes events of the scores, in samples of `spec`."""
        ...

    def timeline(self, samples: Samples) -> Timeline: ...

    def clips(self, waveforms: Iterable[Samples]) -> Samples: ...


@dataclass(frozen=True)
class ScoringModel:
    """Something that scores sound, from a checkpoint or a bundle."""

    name: str
    labels: list[Label]
    spec: AnyFrontEnd
    classifier: Classifier
    classes: list[ClassSettings | None]
    """How the device makes events of the scores, in samples of `spec`."""
    record: dict[str, Any]
    """What the checkpoint says about its making; empty for a bundle."""
    whole: FinetunedNetwork | None = None
    """The network, where it was trained on whole clips; None where only windows of a stream make sense."""
    frames: int = 0
    """Length of such a clip."""

    def timeline(self, samples: Samples) -> Timeline:
        """Decisions on a recording at the front end's rate, as the device makes them one after the other.

        The last one, which also hears the silence after the end, is counted as far as the recording goes.
        """
        made = decisions(self.classifier, self.spec, samples)
        made = [decision for decision in made if decision.start < len(samples)]
        if not made:
            raise AsitEdgeError("a recording without samples cannot be scored")
        edges = [decision.start for decision in made] + [min(made[-1].end, len(samples))]
        scores = np.stack([decision.scores for decision in made])
        return Timeline(np.array(edges) / self.spec.sample_rate, scores)

    def clips(self, waveforms: Iterable[Samples], batch: int = 32) -> Samples:
        """Scores (clips, classes) of clips as wholes, in batches, or exactly as `asit-edge tag` makes them."""
        if self.whole is None:
            return np.stack([score_clip(samples, self.spec, self.classifier) for samples in waveforms])
        length = self.spec.samples_for(self.frames)
        network, scores = TorchWindows(WindowScores(self.whole)), []
        rest = iter(waveforms)
        while features := [frames_of(self.spec, fitted(samples, length)) for samples in islice(rest, batch)]:
            scores.append(network.score(np.stack(features)))
        return np.concatenate(scores)


def open_model(path: Path) -> ScoringModel:
    """A checkpoint of trainer.finetune (on the GPU, if there is one), or the directory of a bundle.

    Either with the settings for events that it comes with.
    """
    if path.is_dir():
        bundle = load_bundle(path)
        manifest = bundle.manifest
        classes = class_settings(Events(), manifest)
        labels = [Label(name=label.name, id=label.id) for label in manifest.labels]
        return ScoringModel(manifest.name, labels, manifest.front_end, open_classifier(bundle), classes, {})
    if checkpoint_kind(path) == STUDENT:
        student, run, labels, record = load_student(path)
        classes = event_settings([(DEFAULT_ON, DEFAULT_OFF)] * len(labels), run.spec.sample_rate)
        return ScoringModel(path.stem, labels, run.spec, device_classifier(student, run.spec), classes, record)
    network, config, labels, record = load_finetuned(path)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return checkpoint_model(path.stem, network.to(device), config, labels, record)


def checkpoint_model(
    name: str,
    network: FinetunedNetwork,
    config: FinetuneConfig,
    labels: Sequence[Label],
    record: dict[str, Any] | None = None,
) -> ScoringModel:
    """A network in memory, with the thresholds that its record has, or else the defaults."""
    record = record or {}
    thresholds = record.get("thresholds", {})
    pairs = [thresholds.get(label.name, (DEFAULT_ON, DEFAULT_OFF)) for label in labels]
    return ScoringModel(
        name,
        list(labels),
        config.spec,
        device_classifier(network, config.spec),
        event_settings(pairs, config.spec.sample_rate),
        record,
        network if config.crop == "whole" else None,
        config.frames,
    )


def event_settings(thresholds: Sequence[tuple[float, float]], rate: int) -> list[ClassSettings | None]:
    """How the device makes events by default, with these thresholds, in samples at `rate`."""
    defaults = Events()
    seconds = (defaults.min_duration, defaults.merge_gap, defaults.cooldown, defaults.update_every)
    times = [round(one * rate) for one in seconds]
    return [ClassSettings(on, off, *times) for on, off in thresholds]


def score_clip(samples: Samples, front_end: AnyFrontEnd, classifier: Classifier) -> Samples:
    """Scores of one clip (classes,), exactly as `asit-edge tag` makes them."""
    return clip_scores(decision_scores(classifier, front_end, samples))
