"""Of each label that a device knows: from which score on it is reported, who says so, and how well it is told."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asit_edge.calibrate.record import Calibration
from asit_edge.config.root import Config
from asit_edge.detect.class_settings import class_settings
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.model.bundle import BundleLabel, LabelQuality, Manifest
from asit_edge.teach.overlay import QualityNote, TaughtSound

Thresholds = tuple[float, float]
"""On, off."""


@dataclass(frozen=True)
class Known:
    """A label, and what is in force for it now."""

    name: str
    id: str
    thresholds: Thresholds
    origin: str
    """Who says so: "bundle", "calibrated", "configured" or "taught"."""
    where: str
    """The key of the configuration, or the file of the calibration; "" for what comes with the label."""
    when: str
    """Of a calibration, ISO 8601; else ""."""
    reported: bool
    """By one source at least."""
    experimental: bool
    taught: bool
    quality: LabelQuality | None = None
    taught_quality: QualityNote | None = None
    sources: Mapping[str, Thresholds | None] = field(default_factory=dict)
    """Where a source has others than the rest; None where it does not report the label."""

    def to_json(self) -> dict[str, Any]:
        """For one line."""
        on, off = self.thresholds
        quality = self.quality or self.taught_quality
        return {
            "name": self.name,
            "id": self.id,
            "on_threshold": on,
            "off_threshold": off,
            "from": self.origin,
            "where": self.where,
            "reported": self.reported,
            "experimental": self.experimental,
            "taught": self.taught,
            "quality": quality.model_dump(mode="json") if quality else None,
            "sources": {
                name: {"on_threshold": own[0], "off_threshold": own[1]} if own else None
                for name, own in self.sources.items()
            },
        }


def known_labels(
    manifest: Manifest,
    config: Config,
    calibration: Calibration | None,
    calibrated_in: str = "",
    taught: Iterable[TaughtSound] = (),
) -> list[Known]:
    """In the bundle's order, what was taught after it. `manifest` has the bundle's own thresholds; `calibration`, from
    the file `calibrated_in`, what was set on this device in their place.

    Raises WrongUse where the configuration names a label that is not there.
    """
    sounds = {sound.label.id: sound for sound in taught}
    own = [*manifest.labels, *(sound.label for sound in sounds.values())]
    everything = manifest.model_copy(update={"labels": [_calibrated(label, calibration) for label in own]})
    usual = class_settings(config.events, everything)
    by_source = {
        source.name: class_settings(config.events, everything, source.events, f"sources[{index}].events")
        for index, source in enumerate(config.sources)
    }
    found = []
    for index, label in enumerate(everything.labels):
        pairs = {name: _pair(classes[index]) for name, classes in by_source.items()}
        thresholds = _in_force(label, _pair(usual[index]), list(pairs.values()))
        origin, where, when = "taught" if label.taught else "bundle", "", ""
        if key := _configured_in(label.name, config, [name for name, pair in pairs.items() if pair == thresholds]):
            origin, where = "configured", key
        elif calibration is not None and label.name in calibration.labels:
            origin, where, when = "calibrated", calibrated_in, calibration.when
        sound = sounds.get(label.id) if label.taught else None
        found.append(
            Known(
                name=label.name,
                id=label.id,
                thresholds=thresholds,
                origin=origin,
                where=where,
                when=when,
                reported=any(pairs.values()),
                experimental=label.experimental,
                taught=label.taught,
                quality=label.quality,
                taught_quality=sound.quality if sound else None,
                sources={name: pair for name, pair in pairs.items() if pair != thresholds}
                if any(pairs.values())
                else {},
            )
        )
    return found


def _in_force(label: BundleLabel, usual: Thresholds | None, of_sources: Sequence[Thresholds | None]) -> Thresholds:
    """What all sources that report it agree on; else what holds where a source does not say otherwise."""
    reporting = {pair for pair in of_sources if pair}
    if len(reporting) == 1:
        return reporting.pop()
    return usual or next((pair for pair in of_sources if pair), (label.on_threshold, label.off_threshold))


def chosen_labels(labels: Sequence[Known], text: str, *, everything: bool) -> list[Known]:
    """Those whose name has the text in it, in any case; without a text those that are reported, or all of them."""
    if text:
        return [one for one in labels if text.casefold() in one.name.casefold()]
    return [one for one in labels if one.reported or everything]


def _calibrated(label: BundleLabel, calibration: Calibration | None) -> BundleLabel:
    if calibration is None or label.name not in calibration.labels:
        return label
    on, off = calibration.labels[label.name].after
    return label.model_copy(update={"on_threshold": on, "off_threshold": off})


def _configured_in(label: str, config: Config, sources: Sequence[str]) -> str:
    """The key that sets its on-threshold for one of these sources, or for all; "" if none does."""
    own = [(f"sources[{at}].events.labels", one.events) for at, one in enumerate(config.sources) if one.name in sources]
    for where, labels in [*((where, one.labels) for where, one in own if one), ("events.labels", config.events.labels)]:
        if label in labels and labels[label].on_threshold is not None:
            return f"{where}.{label}.on_threshold"
    return ""


def _pair(settings: ClassSettings | None) -> Thresholds | None:
    return (settings.on, settings.off) if settings else None
