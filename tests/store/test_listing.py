"""Events as a list: each once, as it was told last, page by page, whatever is written meanwhile."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asit_edge.errors import AsitEdgeError
from asit_edge.messages.event import Event
from asit_edge.store.listing import Wanted, all_listed, find, hurried, listing, waiting
from asit_edge.store.store import Store
from asit_edge.store.tally import SLOT, Tally
from tests.store.samples import TO_MQTT, event

NOON = 1767225600.0


def told(number: int, kind: str, *, source: str = "mic", label: str = "Dog", seconds: float = 0.0) -> Event:
    over = kind == "end"
    update = {"type": kind, "label": label, "onset_epoch": NOON + number, "peak": 0.99 if over else 0.5}
    return event(number, source).model_copy(update={**update, "duration": 1.5 if over else None})


def stored(path: Path, *events: Event) -> Path:
    store = Store(path, sinks=TO_MQTT)
    store.commit(events, "mic/event")
    store.close()
    return path


def ids(path: Path, wanted: Wanted) -> list[str]:
    return [one.event.id for one in listing(path, wanted)]


def test_the_newest_first_each_once_as_it_was_told_last(tmp_path: Path) -> None:
    path = stored(
        tmp_path / "events.db",
        told(0, "new"),
        told(1, "new"),
        told(0, "update"),
        told(0, "end"),
        told(2, "new"),
        told(2, "end"),
    )
    found = [one.event for one in listing(path, Wanted())]
    assert [(one.id, one.type, one.duration) for one in found] == [
        ("id-2", "end", 1.5),
        ("id-1", "new", None),
        ("id-0", "end", 1.5),
    ]


def test_by_time_label_and_source(tmp_path: Path) -> None:
    path = stored(
        tmp_path / "events.db",
        told(0, "new"),
        told(1, "new", label="Cat"),
        told(2, "new", source="yard"),
        told(3, "new"),
    )
    assert ids(path, Wanted(label="dog")) == ["id-3", "id-2", "id-0"]
    assert ids(path, Wanted(source="yard")) == ["id-2"]
    assert ids(path, Wanted(since=NOON + 1, until=NOON + 3)) == ["id-2", "id-1"]
    assert ids(path, Wanted(label="'; DROP TABLE event; --")) == []


@settings(max_examples=15)
@given(st.integers(1, 7), st.integers(0, 30), st.lists(st.booleans(), min_size=30, max_size=30))
def test_pages_have_everything_once(limit: int, count: int, ended: list[bool]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        events = [told(number, "new") for number in range(count)]
        events += [told(number, "end") for number in range(count) if ended[number]]
        path = stored(Path(folder) / "events.db", *events)
        found, before = [], None
        while page := listing(path, Wanted(before=before, limit=limit)):
            assert len(page) <= limit
            found += page
            before = page[-1].number
        assert [one.event.id for one in found] == [f"id-{number}" for number in reversed(range(count))]
        assert [one.event.type == "end" for one in reversed(found)] == ended[:count]


def test_what_comes_meanwhile_moves_no_page(tmp_path: Path) -> None:
    path = stored(tmp_path / "events.db", *(told(number, "new") for number in range(4)))
    first = listing(path, Wanted(limit=2))
    stored(path, told(4, "new"), told(5, "new"))
    assert ids(path, Wanted(limit=2, before=first[-1].number)) == ["id-1", "id-0"]


def test_a_download_is_bounded(tmp_path: Path) -> None:
    path = stored(tmp_path / "events.db", *(told(number, "new") for number in range(450)))
    assert len(list(all_listed(path, Wanted(), 1000))) == 450
    assert [one.event.id for one in all_listed(path, Wanted(), 3)] == ["id-449", "id-448", "id-447"]


def test_one_event_and_what_waits(tmp_path: Path) -> None:
    path = stored(tmp_path / "events.db", told(0, "new"), told(0, "end"))
    found = find(path, "id-0")
    assert found is not None
    assert found.type == "end"
    assert find(path, "id-1") is None
    assert waiting(path) == {"mqtt": 2}


def test_a_look_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    path = stored(tmp_path / "events.db", told(0, "new"))
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(AsitEdgeError, match="too long to look through"), hurried(path, 0.05) as database:
        database.execute(endless).fetchone()


def test_no_store_is_said(tmp_path: Path) -> None:
    with pytest.raises(AsitEdgeError, match="no such file"):
        listing(tmp_path / "events.db", Wanted())


def test_counts_by_label_and_half_hour_take_in_what_is_new(tmp_path: Path) -> None:
    path = stored(
        tmp_path / "events.db", told(0, "new"), told(1, "new"), told(0, "end"), told(4000, "new", label="Cat")
    )
    tally, slot = Tally(path), int(NOON // SLOT)
    assert tally.counts(NOON, NOON + 5000) == {("Dog", slot): 2, ("Cat", slot + 2): 1}
    stored(path, told(2, "new"), told(9, "new", label="Cat"))
    assert tally.counts(NOON, NOON + 5000) == {("Dog", slot): 3, ("Cat", slot): 1, ("Cat", slot + 2): 1}
    assert tally.counts(NOON + 3600, NOON + 5000) == {("Cat", slot + 2): 1}


def test_counts_of_days_long_ago_are_forgotten(tmp_path: Path) -> None:
    path = stored(tmp_path / "events.db", told(0, "new"))
    tally = Tally(path)
    assert tally.counts(0, NOON + 60)
    assert tally.counts(0, NOON + 30 * 86_400) == {}


def test_another_file_is_counted_anew(tmp_path: Path) -> None:
    path = stored(tmp_path / "events.db", *(told(number, "new") for number in range(5)))
    tally = Tally(path)
    assert sum(tally.counts(0, NOON + 60).values()) == 5
    for file in tmp_path.iterdir():
        file.unlink()
    stored(path, told(0, "new"))
    assert sum(tally.counts(0, NOON + 60).values()) == 1
