"""Thresholds from hours in which nothing sounds that should alarm: what `asit-edge calibrate` does on a device, in the
lab and of a checkpoint. They are only raised.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from asit_edge.calibrate.choice import Outcome, Tally, choose, events_a_day, known_below, most, thresholds
from asit_edge.calibrate.ladder import RUNGS, raised
from asit_edge.calibrate.sweep import Sweep
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.errors import WrongUse
from asit_edge.model.bundle import BundleLabel
from trainer.data.decode import samples_of
from trainer.data.layouts.listing import audio_files
from trainer.data.recording import Recording
from trainer.evaluation.content import found_in, sketches
from trainer.evaluation.heard import heard_by
from trainer.evaluation.scoring import ScoringModel


@dataclass(frozen=True)
class Calibrated:
    """What came of it, label by label."""

    outcomes: list[Outcome]
    hours: float
    left_out: int
    """Recordings that the checkpoint has learnt from or was tested on."""

    def facts(self) -> dict[str, Any]:
        """For `export.bundle`."""
        chosen = {one.label: list(one.after) for one in self.outcomes}
        return {"thresholds": chosen, "metrics": {"thresholds_from": f"{self.hours:.2f} h of ambience"}}

    def lines(self, wanted: float) -> list[str]:
        """What was raised, what is too loud for any threshold, and how much so few hours show."""
        said = [f"{one.label}: {one.before[0]:g} -> {one.after[0]:g}, {one.events} events" for one in self.changed]
        loud = [f"{one.label} ({one.a_day:.0f})" for one in self.outcomes if one.a_day > most(wanted)]
        if loud:
            said.append(f"more than {wanted:g} a day at any threshold: {', '.join(loud)}")
        if known_below(self.hours) > wanted:
            said.append(
                f"what was not heard in these {self.hours:.2f} h may still come up to {known_below(self.hours):.0f} "
                f"times a day (95 %); to know of {wanted:g} a day takes {known_below(1.0) / wanted:.0f} h"
            )
        return said

    @property
    def changed(self) -> list[Outcome]:
        return [one for one in self.outcomes if one.changed]


def calibrated(model: ScoringModel, recordings: Sequence[Recording], wanted: float) -> Calibrated:
    """Of each class the lowest threshold, from its own up, at which it would have begun at most `wanted` events a day.

    Recordings that the checkpoint knows take no part. Raises WrongUse where none is left.
    """
    kept = list(recordings)
    heard = heard_by(model.record)
    if heard is not None:
        own = sketches(kept)
        known = found_in(own, np.concatenate(list(heard.before_choosing.values())))
        kept = [one for one, knows in zip(kept, known, strict=True) if not knows]
    if not kept:
        raise WrongUse(f"--ambience: {model.name} has learnt from all of it, or was tested on it; give other hours")
    steps = [[raised(label, rung / (RUNGS - 1)) for label in own_labels(model)] for rung in range(RUNGS)]
    tally = counted(model, steps, kept)
    a_day = events_a_day([tally])
    found = []
    for index, rung in enumerate(choose(a_day, most(wanted))):
        before, after = thresholds(steps[0][index]), thresholds(steps[rung][index])
        name, events = steps[0][index].name, int(tally.events[index, 0])
        found.append(Outcome(name, before, after, events, float(a_day[index, rung])))
    return Calibrated(found, tally.hours, len(recordings) - len(kept))


def own_labels(model: ScoringModel) -> list[BundleLabel]:
    """With the thresholds that the checkpoint has."""
    return [
        BundleLabel(name=label.name, id=label.id, on_threshold=own.on, off_threshold=own.off)
        for label, own in zip(model.labels, model.classes, strict=True)
        if own is not None  # of a checkpoint all classes are reported
    ]


def counted(model: ScoringModel, steps: Sequence[Sequence[BundleLabel]], recordings: Iterable[Recording]) -> Tally:
    """How many events every class would have had at every rung, each recording for itself."""
    rungs: list[list[ClassSettings | None]] = [
        [
            own and replace(own, on=label.on_threshold, off=label.off_threshold)
            for own, label in zip(model.classes, labels, strict=True)
        ]
        for labels in steps
    ]
    rate, hours = model.spec.sample_rate, 0.0
    events = np.zeros((len(model.labels), len(steps)), np.int64)
    for one in recordings:
        line, sweep = model.timeline(samples_of(one, rate)), Sweep(rungs)
        edges = np.round(line.edges * rate).astype(int)
        for start, end, scores in zip(edges, edges[1:], line.scores, strict=False):
            sweep.step(int(start), int(end), scores)
        sweep.finish(int(edges[-1]))
        events += sweep.events
        hours += line.seconds / 3600
    return Tally("ambience", hours, events)


def recordings_in(places: Iterable[Path]) -> list[Recording]:
    """Files, and all audio in folders. Raises WrongUse where there is none."""
    found: list[Recording] = []
    for place in places:
        files = [place] if place.is_file() else audio_files(place)
        if not files:
            raise WrongUse(f"--ambience {place}: no audio there")
        found += [Recording(file) for file in files]
    return found
