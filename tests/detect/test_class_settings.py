"""Which labels are reported: all but experimental ones, and those where somebody asks for them by name."""

import pytest

from asit_edge.config.events import Events, LabelSettings, SourceEvents
from asit_edge.detect.class_settings import class_settings
from asit_edge.model.bundle import BundleLabel, Manifest, WindowModel
from asit_edge.model.frontend import FrontEnd

MANIFEST = Manifest(
    name="three",
    version="1",
    license="Apache-2.0",
    labels=[
        BundleLabel(name="Dog", id="dog", on_threshold=0.5, off_threshold=0.3),
        BundleLabel(name="Rain", id="rain", on_threshold=0.5, off_threshold=0.3, experimental=True),
        BundleLabel(name="Siren", id="siren", on_threshold=0.5, off_threshold=0.3, experimental=True),
    ],
    front_end=FrontEnd(),
    model=WindowModel(frames=32, interval=16),
    files={"model.onnx": "0"},
)


@pytest.mark.parametrize(
    ("events", "source", "reported"),
    [
        (Events(), None, ["Dog"]),
        (Events(only=["Rain"]), None, ["Rain"]),
        (Events(labels={"Siren": LabelSettings()}), None, ["Dog", "Siren"]),
        (Events(labels={"Siren": LabelSettings(on_threshold=0.9)}, only=["Dog"]), None, ["Dog"]),
        (Events(), SourceEvents(only=["Siren", "Dog"]), ["Dog", "Siren"]),
        (Events(only=["Dog", "Rain"]), SourceEvents(labels={"Siren": LabelSettings()}), ["Dog", "Rain"]),
    ],
)
def test_experimental_labels_are_reported_where_they_are_named(
    events: Events, source: SourceEvents | None, reported: list[str]
) -> None:
    chosen = class_settings(events, MANIFEST, source, "sources[0].events")
    names = [label.name for label, one in zip(MANIFEST.labels, chosen, strict=True) if one is not None]
    assert names == reported
