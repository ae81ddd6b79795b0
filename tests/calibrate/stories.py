"""Streams of scores for a few classes, with gaps and mutes, as hypothesis makes them up; told to a tracker."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.detect.tracker import Change, Tracker

CLASSES = 3
STEP = 10
"""Samples that a decision covers."""


@dataclass(frozen=True)
class Mute:
    labels: frozenset[int]


@dataclass(frozen=True)
class Gap:
    """So many samples are missed; what was scored last was padding, of which so many samples."""

    missed: int
    padding: int


Part = Sequence[float] | Mute | Gap

SCORES = st.lists(
    st.sampled_from([0.0, 0.2, 0.35, 0.5, 0.62, 0.8, 0.9, 0.97, 0.9995]), min_size=CLASSES, max_size=CLASSES
)
GAPS = st.builds(Gap, st.integers(0, 60), st.integers(0, 3 * STEP))
MUTES = st.builds(Mute, st.frozensets(st.integers(0, CLASSES - 1)))
STORIES: st.SearchStrategy[list[Part]] = st.lists(st.one_of(*[SCORES] * 8, GAPS, MUTES), min_size=20, max_size=80)

DURATIONS: st.SearchStrategy[dict[str, int]] = st.builds(
    dict,
    min_duration=st.sampled_from([0, 1, 15, 30]),
    merge_gap=st.sampled_from([0, 10, 25]),
    cooldown=st.sampled_from([0, 25, 60]),
)


def settings(on: float, off: float, durations: dict[str, int]) -> ClassSettings:
    return ClassSettings(on=on, off=off, **durations)


def tell(story: Sequence[Part], tracker: Tracker) -> list[Change]:
    """What the story changes, to its end."""
    position = 0
    changes = []
    for part in story:
        if isinstance(part, Mute):
            changes += tracker.mute(part.labels)
        elif isinstance(part, Gap):
            position = max(position - part.padding, 0)
            changes += tracker.finish(position)
            position += part.missed
        else:
            changes += tracker.step(position, position + STEP, np.array(part, np.float32))
            position += STEP
    return changes + tracker.finish(position)
