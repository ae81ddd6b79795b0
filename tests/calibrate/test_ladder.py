"""The thresholds to choose from: from those in force to the highest, hysteresis as wide as it was."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.calibrate.ladder import HIGHEST, RUNGS, ladder, rungs
from asit_edge.config.events import Events, LabelSettings, SourceEvents
from asit_edge.detect.class_settings import class_settings
from asit_edge.model.bundle import BundleLabel, Manifest, WindowModel
from asit_edge.model.frontend import FrontEnd


def manifest_of(*thresholds: tuple[float, float], **more: bool) -> Manifest:
    """Labels A, B, ... with these (on, off)."""
    return Manifest(
        name="letters",
        version="1.0",
        license="Apache-2.0",
        labels=[
            BundleLabel(name=name, id=name.lower(), on_threshold=on, off_threshold=off, **more)  # type: ignore[arg-type]
            for name, (on, off) in zip("ABCDEFGH", thresholds, strict=False)
        ],
        front_end=FrontEnd(),
        model=WindowModel(frames=64, interval=16),
        files={"model.onnx": "0" * 64},
    )


THRESHOLDS = st.tuples(st.floats(0.001, 0.9999), st.floats(0.001, 0.9999)).map(lambda two: (max(two), min(two)))


@given(THRESHOLDS)
def test_rungs_rise_from_what_is_in_force_and_can_be_used(thresholds: tuple[float, float]) -> None:
    steps = [step.labels[0] for step in ladder(manifest_of(thresholds))]
    assert len(steps) == RUNGS
    assert (steps[0].on_threshold, steps[0].off_threshold) == thresholds
    for lower, higher in itertools.pairwise(steps):
        assert lower.on_threshold <= higher.on_threshold <= max(HIGHEST, thresholds[0])
        assert lower.off_threshold <= higher.off_threshold <= higher.on_threshold
    assert steps[-1].on_threshold == max(HIGHEST, thresholds[0])


def test_hysteresis_is_as_wide_as_it_was() -> None:
    def width(label: BundleLabel) -> float:
        on, off = label.on_threshold, label.off_threshold
        return float(np.log(on / (1 - on)) - np.log(off / (1 - off)))

    steps = [step.labels[0] for step in ladder(manifest_of((0.5, 0.3)))]
    assert [width(step) for step in steps if step.on_threshold < 0.98] == pytest.approx(
        [width(steps[0])] * 36, abs=0.06
    )


@pytest.mark.parametrize("on", [0.5, 0.7, 0.9])
def test_rungs_are_close(on: float) -> None:
    steps = [step.labels[0].on_threshold for step in ladder(manifest_of((on, 0.3)))]
    assert np.diff(steps).max() <= 0.03


def test_what_the_configuration_sets_does_not_move() -> None:
    events = Events(labels={"A": LabelSettings(on_threshold=0.6), "B": LabelSettings(off_threshold=0.2)})
    source = SourceEvents(labels={"C": LabelSettings(on_threshold=0.8)})
    steps = ladder(manifest_of((0.5, 0.3), (0.5, 0.3), (0.5, 0.3), (0.5, 0.3)))
    found = rungs(steps, events, source, "sources[0].events")
    highest = [one for one in found[-1] if one]
    assert [one.on for one in highest] == [0.6, HIGHEST, 0.8, HIGHEST]
    assert highest[1].off == 0.2
    assert found[0] == class_settings(events, steps[0], source, "sources[0].events")


def test_labels_that_are_not_reported_are_none_on_every_rung() -> None:
    steps = ladder(manifest_of((0.5, 0.3), (0.5, 0.3)))
    assert all([one is None for one in rung] == [False, True] for rung in rungs(steps, Events(only=["A"])))
