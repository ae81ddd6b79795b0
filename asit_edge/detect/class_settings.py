"""How each class of a model becomes events: the bundle's thresholds, and what the configuration says instead."""

from asit_edge.config.events import Events, SourceEvents
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.detect.tracker import lineage
from asit_edge.errors import WrongUse
from asit_edge.model.bundle import BundleLabel, Manifest
from asit_edge.validation import nearest


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

    An experimental label is reported only where the configuration names it, in `only` or `labels`; one that was taught
    on the device always.

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
    named = {*(only or ()), *events.labels, *special.labels}

    def reported(label: BundleLabel) -> bool:
        if label.taught:
            return not label.experimental
        return (only is None or label.name in only) and (not label.experimental or label.name in named)

    return [
        _settings_of(label, events, manifest, special, where) if reported(label) else None for label in manifest.labels
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
