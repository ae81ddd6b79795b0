"""The place's own background, out of the memory of a listener: what a taught sound must not be taken for."""

from asit_edge.model.bundle import Manifest
from asit_edge.model.key import model_key
from asit_edge.teach.lessons.fitting import Background
from asit_edge.teach.memory import memory_folder, recall, sources_remembered

STRETCH = 10.0
"""Seconds of which the highest likeness counts once."""


def place_background(manifest: Manifest) -> Background | None:
    """All that is remembered here by this model; None where that is nothing. Raises AsitEdgeError."""
    folder, stretches, hours = memory_folder(), [], 0.0
    for source in sources_remembered(folder):
        remembered = recall(folder, source, model_key(manifest))
        if remembered is not None:
            hours += remembered.hours
            stretches += [one.directions for one in remembered.stretches(STRETCH)]
    return Background(stretches, hours) if stretches else None
