"""The page's application with a real store and hub behind it, as a browser on this machine would ask it."""

import queue
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from asit_edge.live.hub import Hub
from asit_edge.messages.report import Health
from asit_edge.mqtt.commands import Command
from asit_edge.store.store import Store
from asit_edge.web.app import make_app
from asit_edge.web.guards.access import Access
from asit_edge.web.guards.hosts import Hosts
from asit_edge.web.parts import Parts
from tests.live.pictures import heard, hub_of, status
from tests.store.samples import TO_MQTT

HERE = "http://127.0.0.1:8490"
TOKEN = "correct horse battery"

Client = Callable[..., TestClient]


@pytest.fixture
def hub(tone_bundle: Path) -> Hub:
    hub = hub_of(tone_bundle)
    hub.status(status("listening"))
    hub.status(status("listening", "garden"))
    return hub


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "events.db"
    opened = Store(path, sinks=TO_MQTT)
    opened.commit([heard(0), heard(1, label="High tone"), heard(0, "end"), heard(2, source="garden")], "kitchen/event")
    opened.close()
    return path


@pytest.fixture
def parts(hub: Hub, store: Path) -> Parts:
    def delivery() -> Health:
        return Health(schema=1, device="hall", problem="", dropped=0, refused=0)

    commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
    return Parts(hub, Access(None), Hosts("127.0.0.1", machine="box"), store, commands, {"backend": "none"}, delivery)


@pytest.fixture
def client(parts: Parts) -> Iterator[Client]:
    """Makes one, with other parts where wanted."""
    opened: list[TestClient] = []

    def make(base_url: str = HERE, **other: Any) -> TestClient:
        made = TestClient(make_app(replace(parts, **other)), base_url=base_url, raise_server_exceptions=False)
        made.__enter__()
        opened.append(made)
        return made

    yield make
    for one in opened:
        one.__exit__()
