"""A hub of two sources that hear tones, for tests."""

from pathlib import Path

from asit_edge.config.root import Config
from asit_edge.live.hub import Hub
from asit_edge.messages.event import Event
from asit_edge.messages.report import Level, Status
from asit_edge.model.bundle import load_bundle
from tests.store.samples import event


def config_of(**settings: object) -> Config:
    sources = [{"type": "stdin", "name": "kitchen"}, {"type": "file", "name": "garden", "path": "/absent.wav"}]
    return Config.model_validate({"device": "hall", "sources": sources, **settings})


def hub_of(bundle: Path, **settings: object) -> Hub:
    return Hub(config_of(**settings), load_bundle(bundle).manifest)


def heard(number: int = 0, kind: str = "new", source: str = "kitchen", label: str = "Low tone") -> Event:
    update = {"type": kind, "label": label, "label_id": label.lower().replace(" ", "_"), "seq": number + 1}
    return event(number, source).model_copy(update=update)


def level(source: str = "kitchen", dbfs: float = -40.0) -> Level:
    return Level(schema=1, device="hall", source=source, dbfs=dbfs, peak_dbfs=-30.0, rms=0.01)


def status(state: str, source: str = "kitchen") -> Status:
    return Status.model_validate(
        {"schema": 1, "device": "hall", "source": source, "state": state, "since": "2026-01-01T00:00:00.000Z"}
    )
