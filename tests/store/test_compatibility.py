"""A store and a note of sources from before the code had rooms: they open, and what waited in them is delivered."""

import lzma
from pathlib import Path

import pytest

from asit_edge.listen.last_heard import LastHeard
from asit_edge.store.history import history
from asit_edge.store.store import Store
from tests.conftest import ROOT

STORED = ROOT / "tests" / "data" / "compatibility" / "events.db.xz"
"""Three events and a gap for two sinks: one delivered, one refused, the rest waiting."""


@pytest.fixture
def events_db(tmp_path: Path) -> Path:
    path = tmp_path / "events.db"
    path.write_bytes(lzma.decompress(STORED.read_bytes()))
    return path


def test_a_store_of_before_opens_and_goes_on(events_db: Path) -> None:
    assert [(event.seq, event.type, event.onset_epoch) for event in history(events_db)] == [
        (1, "new", 1795168801.0),
        (2, "end", 1795168801.0),
        (3, "new", 1795168802.0),
    ]
    store = Store(events_db, sinks={"mqtt": lambda message: True})
    try:
        assert store.problem is None
        assert [outgoing.topic for outgoing in store.waiting("mqtt", 0, 10)] == ["mic/event", "mic/event", "mic/gap"]
        assert len(store.waiting("hook", 0, 10)) == 2
        assert [(refusal.sink, refusal.reason) for refusal in store.refusals()] == [("hook", "answered 400")]
        assert store.retained() == {"asit/hall/mic/sound/dog", "asit/hall/mic/status"}
        [event] = [next(iter(history(events_db)))]
        [written] = store.commit([event], "mic/event")
        assert written.seq == 4, "numbers go on"
        store.delivered([outgoing.row for outgoing in store.waiting("mqtt", 0, 10)])
        assert store.count_waiting("mqtt") == 0
    finally:
        store.close()


def test_until_when_sources_were_heard_is_still_known(tmp_path: Path) -> None:
    (tmp_path / "heard.json").write_text('{"mic": 1795168801.5}', encoding="utf-8")
    assert LastHeard(tmp_path / "heard.json").last("mic") == 1795168801.5
