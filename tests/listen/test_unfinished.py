"""What the run before left open ends with what was heard last, once."""

import io
import time
from pathlib import Path

import pytest

from asit_edge.assembly import load_model
from asit_edge.config.root import Config
from asit_edge.deliver.delivery import Delivery
from asit_edge.listen.unfinished import end_unfinished, ended
from asit_edge.messages.event import Event
from asit_edge.store.store import Store
from tests.store.samples import event

ONSET = event().onset_epoch


@pytest.mark.parametrize(
    ("heard", "duration", "offset"),
    [
        (ONSET + 7.5, 7.5, "2026-01-01T00:00:07.500Z"),
        (None, 0.0, "2026-01-01T00:00:00.000Z"),
        (ONSET - 3, 0.0, "2026-01-01T00:00:00.000Z"),
    ],
)
def test_an_end_is_what_was_heard_last_and_not_before_the_beginning(
    heard: float | None, duration: float, offset: str
) -> None:
    end = ended(event(), heard, ONSET + 60)
    assert (end.type, end.id, end.replayed) == ("end", event().id, True)
    assert (end.duration, end.offset, end.latency_ms) == (duration, offset, 60_000)
    assert Event.model_validate_json(end.to_json()) == end


def test_the_store_knows_what_did_not_end(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = Store(path)
    first, second, third = event(1), event(2), event(3)
    update = first.model_copy(update={"type": "update", "peak": 0.95})
    store.commit([first, second, update, second.model_copy(update={"type": "end"}), third], "mic/event")
    store.close()
    again = Store(path)
    assert [(one.id, one.type, one.peak) for one in again.unfinished()] == [
        ("id-1", "update", 0.95),
        ("id-3", "new", 0.9),
    ]
    again.close()


def test_the_next_run_ends_it_and_the_one_after_finds_nothing(tmp_path: Path, tone_bundle: Path) -> None:
    path = tmp_path / "events.db"
    config = Config.model_validate({"device": "hall", "model": tone_bundle, "store": {"path": path}})
    store = Store(path)
    store.commit([event(1)], "mic/event")
    store.close()
    manifest = load_model(config).manifest
    for expected in (1, 0):
        delivery, out = Delivery(config, manifest), io.StringIO()
        end_unfinished(delivery, {"mic": ONSET + 5}.get, time.time(), out)
        delivery.stop(0)
        ends = [Event.model_validate_json(line) for line in out.getvalue().splitlines()]
        assert [(one.type, one.duration) for one in ends] == [("end", 5.0)] * expected
        assert all(one.seq == 2 for one in ends)
