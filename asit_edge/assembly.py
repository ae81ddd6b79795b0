"""Puts the parts together as the configuration says: which model, which thresholds, which pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from asit_edge.backends.choose import open_backend
from asit_edge.backends.onnx_session import Provider
from asit_edge.backends.shapes import as_classifier, open_onnx
from asit_edge.bundle import Bundle, BundleLabel, Manifest, find_bundle, load_bundle
from asit_edge.classifier import Classifier
from asit_edge.config import Config, Events, SourceEvents
from asit_edge.errors import WrongUse
from asit_edge.events import ClassSettings, Tracker, lineage
from asit_edge.level import rms_of
from asit_edge.pipeline import Chunker, Pipeline, Scorer, SilenceGate
from asit_edge.validation import nearest

GATE_HOLD = 2.0
"""Seconds for which the silence gate stays open after the last sound above it."""


@dataclass(frozen=True)
class Model:
    """A loaded bundle, ready to score, and how its scores become events."""

    bundle: Bundle
    classifier: Classifier
    classes: list[ClassSettings | None]
    parents: Mapping[int, int] = field(default_factory=dict)
    gate: SilenceGate | None = None

    @property
    def manifest(self) -> Manifest:
        return self.bundle.manifest

    def scorer(self, rate: int) -> Scorer:
        """For a source of that rate in Hz."""
        return Scorer(self.manifest.front_end, self.classifier, rate)

    def pipeline(self, rate: int, classes: list[ClassSettings | None] | None = None) -> Pipeline:
        """For a source of that rate in Hz; `classes` where the source's own settings differ."""
        chunker = Chunker(self.manifest.front_end, self.classifier.chunk, rate)
        return Pipeline(chunker, self.classifier, Tracker(classes or self.classes, self.parents), self.gate)


def load_model(config: Config, may_build: bool = False) -> Model:
    """`may_build`: a missing TensorRT engine may be built meanwhile, as only a listener has the time for.

    Raises AsitEdgeError or WrongUse if the bundle or the settings for its labels cannot be used.
    """
    bundle = load_bundle(find_bundle(config.model))
    manifest = bundle.manifest
    classes = class_settings(config.events, manifest)
    parents = class_parents(config.events, manifest)
    gate = None
    if config.events.silence_gate is not None:
        rate = manifest.front_end.sample_rate
        gate = SilenceGate(rms_of(config.events.silence_gate), round(GATE_HOLD * rate))
    classifier = as_classifier(bundle, open_backend(bundle, config, may_build), config.events.interval)
    return Model(bundle, classifier, classes, parents, gate)


def open_classifier(
    bundle: Bundle, threads: int = 1, interval: float | None = None, provider: Provider = "cpu"
) -> Classifier:
    """The bundle's model on ONNX Runtime, deciding every `interval` seconds (None: as the bundle says).

    Raises AsitEdgeError if the model cannot be loaded, WrongUse if it is a streaming one and has another interval.
    """
    return as_classifier(bundle, open_onnx(bundle, threads, provider), interval)


def label_index(name: str, where: str, manifest: Manifest) -> int:
    """The class with that display name. WrongUse, naming `where` it was asked for, if the model has none."""
    names = [label.name for label in manifest.labels]
    if name not in names:
        raise WrongUse(f"{where}: the model has no label {name!r}{nearest(name, names)}")
    return names.index(name)


def class_parents(events: Events, manifest: Manifest) -> dict[int, int]:
    """`events.parents` by class. WrongUse names a label that is not there, and one that is its own ancestor."""
    parents = {
        label_index(child, "events.parents", manifest): label_index(parent, "events.parents", manifest)
        for child, parent in events.parents.items()
    }
    for child in parents:
        try:
            lineage(child, parents)
        except ValueError:
            raise WrongUse(f"events.parents: {manifest.labels[child].name!r} is an ancestor of itself") from None
    return parents


def class_settings(
    events: Events, manifest: Manifest, source: SourceEvents | None = None, where: str = ""
) -> list[ClassSettings | None]:
    """One entry a label of the bundle, None where it is not reported. WrongUse names a label that is not there.

    `source` is what differs for one source, of which `where` says which key of the configuration it is.
    """
    special = source or SourceEvents()
    only = special.only if special.only is not None else events.only
    for key, wanted in (
        ("events.only", events.only or []),
        ("events.labels", list(events.labels)),
        (f"{where}.only", special.only or []),
        (f"{where}.labels", list(special.labels)),
    ):
        for name in wanted:
            label_index(name, key, manifest)
    return [
        None if only is not None and label.name not in only else _settings_of(label, events, manifest, special, where)
        for label in manifest.labels
    ]


def _settings_of(
    label: BundleLabel, events: Events, manifest: Manifest, special: SourceEvents, where: str
) -> ClassSettings:
    """From the most particular to the most general: the source's label, the source, the label, everything."""
    layers = [special.labels.get(label.name), special, events.labels.get(label.name), events]

    def wanted(key: str) -> float | None:
        values = (getattr(layer, key, None) for layer in layers)
        return next((value for value in values if value is not None), None)

    def samples(key: str) -> int:
        return round((wanted(key) or 0.0) * manifest.front_end.sample_rate)

    on = wanted("on_threshold")
    on = label.on_threshold if on is None else on
    off = wanted("off_threshold")
    off = min(label.off_threshold, on) if off is None else off
    if off > on:
        key = f"{where}.labels" if special.labels.get(label.name) else "events.labels"
        raise WrongUse(f"{key}.{label.name}: off_threshold ({off}) must not be above on_threshold ({on})")
    return ClassSettings(
        on=on,
        off=off,
        min_duration=samples("min_duration"),
        merge_gap=samples("merge_gap"),
        cooldown=samples("cooldown"),
        update_every=samples("update_every"),
        max_duration=samples("max_duration"),
    )
