"""What a calibration leaves behind: for which bundle, from what, and what it did to the labels' thresholds. Pure."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from asit_edge.calibrate.choice import Outcome
from asit_edge.model.bundle import BundleLabel, Manifest
from asit_edge.model.key import ModelKey, model_key

KEPT = 5
"""Calibrations in the file, of all bundles together: as many can be undone."""

NAMED = 10
"""Of so many sources or files the names are kept."""

Score = Annotated[float, Field(gt=0, lt=1)]
Thresholds = tuple[Score, Score]
"""On, off."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Moved(_Part):
    """A label's thresholds, on and off."""

    before: Thresholds
    after: Thresholds

    @model_validator(mode="after")
    def _ordered(self) -> "Moved":
        for on, off in (self.before, self.after):
            if off > on:
                raise ValueError(f"off ({off}) must not be above on ({on})")
        if self.after < self.before:
            raise ValueError(f"after ({self.after[0]}) must not be below before ({self.before[0]})")
        return self


class Calibration(_Part):
    """`labels` has every label whose thresholds are not the bundle's, also where the calibration before set them."""

    bundle: ModelKey
    when: str = Field(description="ISO 8601, UTC")
    hours: float = Field(gt=0, description="heard, of all sources together")
    heard: list[str] = Field(description="sources or files")
    alarms_per_day: float = Field(gt=0, description="wanted of each label, at most")
    labels: dict[str, Moved]


class Calibrations(_Part):
    """All of `calibration.yaml`. Of each bundle the last one counts."""

    schema_version: Literal[1] = 1
    calibrations: list[Calibration] = Field(default_factory=list)


def newest(calibrations: Sequence[Calibration], manifest: Manifest) -> Calibration | None:
    """The one that counts for this bundle; None if there is none."""
    wanted = model_key(manifest)
    return next((one for one in reversed(calibrations) if one.bundle == wanted), None)


def brief(heard: Sequence[str]) -> list[str]:
    """Their names, of many the first ones: a day may be a thousand recordings, and every listener reads this file."""
    return [*heard] if len(heard) <= NAMED else [*heard[:NAMED], f"and {len(heard) - NAMED} more"]


def moved(outcomes: Iterable[Outcome], previous: Calibration | None) -> dict[str, Moved]:
    """What changed, and what the calibration before had set and this one leaves as it is."""
    labels = {one.label: Moved(before=one.before, after=one.after) for one in outcomes if one.changed}
    kept = previous.labels if previous else {}
    stays = {name: Moved(before=one.after, after=one.after) for name, one in kept.items() if name not in labels}
    return {**stays, **labels}


def without_newest(calibrations: Sequence[Calibration], manifest: Manifest) -> list[Calibration]:
    """As they were before the one that counts for this bundle."""
    last = newest(calibrations, manifest)
    return [one for one in calibrations if one is not last]


def calibrated(manifest: Manifest, calibration: Calibration) -> Manifest:
    """The manifest with those thresholds in place of its own."""

    def label_of(label: BundleLabel) -> BundleLabel:
        if label.name not in calibration.labels:
            return label
        on, off = calibration.labels[label.name].after
        return label.model_copy(update={"on_threshold": on, "off_threshold": off})

    return manifest.model_copy(update={"labels": [label_of(label) for label in manifest.labels]})
