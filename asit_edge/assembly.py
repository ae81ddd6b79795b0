"""Puts the parts together as the configuration says: which model, which thresholds, which pipeline."""

from dataclasses import dataclass

from asit_edge.backends.choose import open_backend
from asit_edge.backends.onnx_session import Provider
from asit_edge.backends.shapes import as_classifier, open_onnx
from asit_edge.bundle import Bundle, Manifest, default_bundle, load_bundle
from asit_edge.classifier import Classifier
from asit_edge.config import Config, Events, LabelSettings
from asit_edge.errors import WrongUse
from asit_edge.events import ClassSettings, Tracker
from asit_edge.pipeline import Pipeline, Scorer
from asit_edge.validation import nearest


@dataclass(frozen=True)
class Model:
    """A loaded bundle, ready to score, and how its scores become events."""

    bundle: Bundle
    classifier: Classifier
    classes: list[ClassSettings | None]

    @property
    def manifest(self) -> Manifest:
        return self.bundle.manifest

    def scorer(self, rate: int) -> Scorer:
        """For a source of that rate in Hz."""
        return Scorer(self.manifest.front_end, self.classifier, rate)

    def pipeline(self, rate: int) -> Pipeline:
        return Pipeline(self.scorer(rate), Tracker(self.classes))


def load_model(config: Config, may_build: bool = False) -> Model:
    """`may_build`: a missing TensorRT engine may be built meanwhile, as only a listener has the time for.

    Raises AsitEdgeError or WrongUse if the bundle or the settings for its labels cannot be used.
    """
    bundle = load_bundle(config.model or default_bundle())
    manifest = bundle.manifest
    classes = class_settings(config.events, manifest)
    backend = open_backend(bundle, config, may_build)
    return Model(bundle, as_classifier(bundle, backend, config.events.interval), classes)


def open_classifier(
    bundle: Bundle, threads: int = 1, interval: float | None = None, provider: Provider = "cpu"
) -> Classifier:
    """The bundle's model on ONNX Runtime, deciding every `interval` seconds (None: as the bundle says).

    Raises AsitEdgeError if the model cannot be loaded, WrongUse if it is a streaming one and has another interval.
    """
    return as_classifier(bundle, open_onnx(bundle, threads, provider), interval)


def class_settings(events: Events, manifest: Manifest) -> list[ClassSettings | None]:
    """One entry a label of the bundle, None where it is not reported. WrongUse names a label that is not there."""
    names = [label.name for label in manifest.labels]
    for key, wanted in (("only", events.only or []), ("labels", list(events.labels))):
        for name in wanted:
            if name not in names:
                raise WrongUse(f"events.{key}: the model has no label {name!r}{nearest(name, names)}")
    settings: list[ClassSettings | None] = []
    for label in manifest.labels:
        if events.only is not None and label.name not in events.only:
            settings.append(None)
            continue
        own = events.labels.get(label.name, LabelSettings())
        on = own.on_threshold if own.on_threshold is not None else label.on_threshold
        off = own.off_threshold if own.off_threshold is not None else min(label.off_threshold, on)
        if off > on:
            raise WrongUse(f"events.labels.{label.name}: off_threshold ({off}) must not be above on_threshold ({on})")

        def samples(seconds: float | None, default: float) -> int:
            return round((seconds if seconds is not None else default) * manifest.front_end.sample_rate)

        settings.append(
            ClassSettings(
                on=on,
                off=off,
                min_duration=samples(own.min_duration, events.min_duration),
                merge_gap=samples(own.merge_gap, events.merge_gap),
                cooldown=samples(own.cooldown, events.cooldown),
                update_every=samples(None, events.update_every),
            )
        )
    return settings
