"""Puts the parts together as the configuration says: which model, which thresholds, which pipeline."""

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from asit_edge.audio.level import rms_of
from asit_edge.audio.sources.source import Source
from asit_edge.calibrate.file import calibration_for
from asit_edge.calibrate.record import calibrated as with_thresholds
from asit_edge.config.root import Config
from asit_edge.config.secrets import fill_in, read_secret, with_password
from asit_edge.config.sources import FileSource, SourceSettings, StdinSource, StreamSource
from asit_edge.detect.chunker import Chunker, Scorer
from asit_edge.detect.class_settings import class_parents, class_settings, label_index
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.detect.pipeline import Pipeline, SilenceGate
from asit_edge.detect.tracker import Tracker
from asit_edge.errors import WrongUse
from asit_edge.model.backends.choice import open_backend
from asit_edge.model.backends.serving import Serving
from asit_edge.model.backends.shapes import as_classifier
from asit_edge.model.bundle import Bundle, Manifest, find_bundle, load_bundle
from asit_edge.model.classifier import Classifier, Embedding
from asit_edge.teach.shelf import Shelf
from asit_edge.teach.space import can_be_taught
from asit_edge.teach.vocabulary import Vocabulary

log = logging.getLogger(__name__)

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
    vocabulary: Vocabulary | None = None
    """Where sounds can be taught: what is known at the moment."""
    serving: Serving = field(default_factory=Serving)
    """Which backend runs it at the moment, and why."""

    @property
    def manifest(self) -> Manifest:
        return self.vocabulary.manifest if self.vocabulary else self.bundle.manifest

    def scorer(self, rate: int) -> Scorer:
        """For a source of that rate in Hz."""
        return Scorer(self.manifest.front_end, self.classifier, rate)

    def pipeline(self, rate: int, classes: list[ClassSettings | None] | None = None) -> Pipeline:
        """For a source of that rate in Hz; `classes` where the source's own settings differ."""
        chunker = Chunker(self.manifest.front_end, self.classifier.chunk, rate)
        return Pipeline(chunker, self.classifier, Tracker(classes or self.classes, self.parents), self.gate)


def load_model(config: Config, may_build: bool = False, calibrated: bool = True) -> Model:
    """`may_build`: a missing TensorRT engine may be built meanwhile, as only a listener has the time for.

    Thresholds are the configuration's, or else those that were calibrated for the bundle on this device (`calibrated`),
    or else the bundle's.

    Raises AsitEdgeError or WrongUse if the bundle or the settings for its labels cannot be used.
    """
    bundle = load_bundle(find_bundle(config.model))
    calibration = calibration_for(bundle.manifest) if calibrated else None

    def adjusted(manifest: Manifest) -> Manifest:
        return manifest if calibration is None else with_thresholds(manifest, calibration)

    bundle = Bundle(bundle.path, adjusted(bundle.manifest), bundle.model_file)
    serving = Serving()
    backend = open_backend(bundle, config, may_build, serving=serving)
    classifier = as_classifier(bundle, backend, config.events.interval)
    vocabulary = open_vocabulary(bundle, classifier, adjusted)
    manifest = vocabulary.manifest if vocabulary else bundle.manifest
    classes = class_settings(config.events, manifest)
    parents = class_parents(config.events, manifest)
    gate = None
    if config.events.silence_gate is not None:
        rate = manifest.front_end.sample_rate
        gate = SilenceGate(rms_of(config.events.silence_gate), round(GATE_HOLD * rate))
    return Model(
        bundle,
        vocabulary.classifier if vocabulary else classifier,
        classes,
        parents,
        gate,
        vocabulary,
        serving,
    )


def known_manifest(config: Config) -> Manifest:
    """What `load_model` would know, without what computes: the bundle's labels as they are calibrated, and taught ones.

    Raises AsitEdgeError or WrongUse if the bundle cannot be used.
    """
    bundle = load_bundle(find_bundle(config.model))
    calibration = calibration_for(bundle.manifest)
    labels = list(bundle.manifest.labels)
    if can_be_taught(bundle):
        with contextlib.suppress(WrongUse):  # nothing can be kept, so nothing is taught
            labels += Shelf().labels(bundle.manifest)
    manifest = bundle.manifest.model_copy(update={"labels": labels})
    return manifest if calibration is None else with_thresholds(manifest, calibration)


def fits(config: Config, manifest: Manifest) -> None:
    """Raises WrongUse where the configuration's settings for events do not fit the model."""
    class_parents(config.events, manifest)
    class_settings(config.events, manifest)
    for position, entry in enumerate(config.sources):
        class_settings(config.events, manifest, entry.events, f"sources[{position}].events")
    for position, hours in enumerate(config.events.quiet_hours):
        for name in hours.labels or []:
            label_index(name, f"events.quiet_hours[{position}].labels", manifest)


def open_vocabulary(
    bundle: Bundle, classifier: Classifier, adjusted: Callable[[Manifest], Manifest]
) -> Vocabulary | None:
    """What was taught to this bundle's model on this device; None where it cannot be taught, or nothing be kept."""
    if not can_be_taught(bundle):
        return None
    try:
        return Vocabulary(bundle, cast(Embedding, classifier), Shelf(), adjusted)
    except WrongUse as error:
        log.info("no sounds can be taught: %s", error)
        return None


def open_source(settings: SourceSettings, model_rate: int) -> Source:
    """Nothing is opened yet but a file. Raises AsitEdgeError or WrongUse for what can never work."""
    if isinstance(settings, FileSource):
        from asit_edge.audio.sources.audio_file import AudioFileSource

        return AudioFileSource(settings.name, settings.path)
    if isinstance(settings, StreamSource):
        from asit_edge.audio.sources.stream import LONGEST_PAUSE, Stream

        pause = None if settings.once else LONGEST_PAUSE
        return Stream(settings.name, _address(settings), settings.options, settings.channel, model_rate, pause)
    if isinstance(settings, StdinSource):
        from asit_edge.audio.sources.standard_input import StandardInput

        return StandardInput(settings.name, settings.rate, settings.channels, settings.format)
    from asit_edge.audio.sources.microphone import Microphone  # loads PortAudio, which the others do not need

    return Microphone(settings.name, settings.device, settings.channel, settings.rate, model_rate)


def _address(settings: StreamSource) -> str:
    """With the secrets that the configuration leaves to the environment and to files. Raises WrongUse."""
    where = f"source {settings.name!r}"
    url = fill_in(settings.url, f"{where}: url")
    if settings.password_file is None:
        return url
    key = f"{where}: password_file"
    return with_password(url, read_secret(settings.password_file, key), key)
