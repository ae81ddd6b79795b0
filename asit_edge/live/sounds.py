"""What each source can report at the moment, at which scores, and what is heard most: kept as it is announced."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from asit_edge.audio.clock import parse_iso
from asit_edge.config.root import Config
from asit_edge.detect.class_settings import class_settings
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.model.bundle import Manifest
from asit_edge.model.classifier import Scores

TOP = 8
"""Labels with the highest scores that are told."""

FAINT = 0.01
"""Scores below it are not told."""


class Sounds:
    """Of all sources of a device."""

    def __init__(self, config: Config, manifest: Manifest) -> None:
        """Raises WrongUse where settings do not fit the model."""
        self._config = config
        self._set: dict[tuple[str, str], float] = {}
        self._adjusted: dict[str, dict[str, Any]] = {}
        self.know(manifest)

    def know(self, manifest: Manifest) -> None:
        """Labels have come, or are not reported any more; thresholds that were set stay."""
        self._labels = list(manifest.labels)
        self._settings = {
            source.name: class_settings(self._config.events, manifest, source.events, f"sources[{index}].events")
            for index, source in enumerate(self._config.sources)
        }
        self._columns = {
            source: np.array([column for column, one in enumerate(classes) if one is not None], np.intp)
            for source, classes in self._settings.items()
        }

    def configured(self, config: Config) -> None:
        """Other thresholds, from the next `know` on; those that are adjusted are told anew."""
        self._config = config
        self._set.clear()

    def threshold(self, source: str, label: str, on: float) -> None:
        self._set[source, label] = on

    def adjusted(self, source: str, told: dict[str, Any]) -> None:
        """What differs from the configuration, as the contract has it."""
        self._adjusted[source] = told

    def standing(self, source: str) -> dict[str, Any]:
        """Of a source: whether it is listened to, and until when it is snoozed (seconds since the epoch, or None)."""
        told = self._adjusted.get(source, {})
        return {"listen": told.get("listen", True), "snoozed": _epoch(told.get("snoozed_until"))}

    @property
    def sources(self) -> list[str]:
        return list(self._settings)

    @property
    def names(self) -> Mapping[str, str]:
        """The id of every label that some source reports, to its display name."""
        wanted = {int(column) for columns in self._columns.values() for column in columns}
        return {self._labels[column].id: self._labels[column].name for column in sorted(wanted)}

    def listed(self) -> list[dict[str, Any]]:
        """Every label that some source reports, with the threshold that it has on each."""
        found = []
        for column, label in enumerate(self._labels):
            own = {source: classes[column] for source, classes in self._settings.items()}
            on = {source: self._on(source, label.name, settings) for source, settings in own.items() if settings}
            if not on:
                continue
            here = {source: self._label(source, label.name) for source in on}
            muted = [source for source, one in here.items() if not one.get("report", True)]
            until = {source: _epoch(one.get("snoozed_until")) for source, one in here.items()}
            snoozed = {source: epoch for source, epoch in until.items() if epoch is not None}
            told = {"name": label.name, "id": label.id, "taught": label.taught, "experimental": label.experimental}
            found.append({**told, "thresholds": on, "muted": muted, "snoozed": snoozed})
        return found

    def _label(self, source: str, label: str) -> dict[str, Any]:
        found: dict[str, Any] = self._adjusted.get(source, {}).get("labels", {}).get(label, {})
        return found

    def _on(self, source: str, label: str, settings: ClassSettings) -> float:
        adjusted = self._label(source, label).get("threshold")
        on = self._set.get((source, label), settings.on) if adjusted is None else float(adjusted)
        return round(on, 4)

    def top(self, source: str, scores: Scores) -> list[dict[str, Any]]:
        """The highest of the newest scores (steps, classes) among what the source reports, the highest first."""
        columns = self._columns.get(source, np.array([], np.intp))  # of one that is new nothing is known yet
        columns = columns[columns < scores.shape[1]]
        newest = scores[-1][columns]
        order = np.argsort(newest)[::-1][:TOP]
        return [
            {"label": self._labels[columns[one]].name, "score": round(float(newest[one]), 3)}
            for one in order
            if newest[one] >= FAINT
        ]


def _epoch(text: str | None) -> float | None:
    return None if text is None else parse_iso(text)
