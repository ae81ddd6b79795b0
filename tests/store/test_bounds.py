"""What goes when there is too much: the oldest, of each table, and only what has to."""

import sqlite3
from collections.abc import Iterator

import pytest

from asit_edge.store import bounds
from asit_edge.store.age import Age, Mark
from asit_edge.store.bounds import SHARE_DROPPED, Bounds, used_bytes
from asit_edge.store.database import open_database


class Old(Age):
    """Says of these rows that they are too old."""

    def __init__(self, mark: Mark | None) -> None:
        super().__init__(1.0)
        self._mark = mark

    def too_old(self, database: sqlite3.Connection, wall: float, steady: float) -> Mark | None:
        return self._mark


@pytest.fixture
def database() -> sqlite3.Connection:
    """A hundred events, messages for two sinks and refusals; number 1 is from time 1 and so on."""
    made = open_database(None)
    for number in range(1, 101):
        made.execute("INSERT INTO event VALUES (?, 'id', 'new', 'mic', 'Dog', ?, 'payload')", (number, float(number)))
        for row, sink in ((2 * number - 1, "mqtt"), (2 * number, "siren")):
            made.execute("INSERT INTO outbox VALUES (?, ?, 't', 'payload', ?)", (row, sink, float(number)))
        made.execute("INSERT INTO dead_letter VALUES (?, 'mqtt', 't', 'payload', 'no', ?)", (number, float(number)))
    return made


def left(database: sqlite3.Connection) -> tuple[int, int, int, int]:
    """Events, messages for either sink, refusals; what is left is always the newest."""
    counts = []
    for table, key, last in (
        ("event", "seq", 100),
        ("outbox WHERE sink = 'mqtt'", "row", 199),
        ("outbox WHERE sink = 'siren'", "row", 200),
        ("dead_letter", "number", 100),
    ):
        found = [number for (number,) in database.execute(f"SELECT {key} FROM {table} ORDER BY {key}")]
        step = 1 if last == 100 else 2
        assert found == list(range(last - step * (len(found) - 1), last + 1, step))
        counts.append(len(found))
    return counts[0], counts[1], counts[2], counts[3]


def test_within_its_bounds_nothing_goes(database: sqlite3.Connection) -> None:
    assert Bounds(100, Old(None), 10.0).apply(database) == 0
    assert left(database) == (100, 100, 100, 100)


def test_by_number_the_newest_of_each_are_kept(database: sqlite3.Connection) -> None:
    assert Bounds(99, None, None).apply(database) == 2, "one for each sink was not delivered"
    assert left(database) == (99, 99, 99, 99)
    assert Bounds(7, None, None).apply(database) == 2 * 92
    assert left(database) == (7, 7, 7, 7)
    assert Bounds(7, None, None).apply(database) == 0


def test_numbers_are_counted_by_sink(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM outbox WHERE sink = 'siren' AND row <= 180")
    assert Bounds(20, None, None).apply(database) == 80
    assert left(database) == (20, 20, 10, 20)


def test_numbers_that_jump_are_counted_not_subtracted(database: sqlite3.Connection) -> None:
    database.execute("UPDATE event SET seq = seq + 1000000 WHERE seq > 90")
    assert Bounds(100, None, None).apply(database) == 0
    assert database.execute("SELECT count(*) FROM event").fetchone() == (100,)
    Bounds(20, None, None).apply(database)
    assert database.execute("SELECT min(seq), count(*) FROM event").fetchone() == (81, 20)


def test_by_age_what_was_heard_and_queued_before_goes(database: sqlite3.Connection) -> None:
    assert Bounds(1_000, Old(Mark(0.0, row=60, seq=30)), None).apply(database) == 2 * 30
    assert left(database) == (70, 70, 70, 100), "what was refused is kept for inspection"


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the rows take at each look, one after the other."""
    wanted: list[int] = []
    looks: Iterator[int] = iter(wanted)
    monkeypatch.setattr(bounds, "used_bytes", lambda database: next(looks))
    return wanted


@pytest.mark.parametrize(
    ("looks", "expected", "dropped"),
    [
        ([1_000_000], (100, 100, 100, 100), 0),  # exactly as large as it may be
        ([1_000_001, 1_000_000], (94, 100, 100, 100), 0),
        ([1_000_001, 1_000_001, 1_000_000], (94, 100, 100, 94), 0),
        ([1_000_001, 1_000_001, 1_000_001], (94, 94, 95, 94), 11),
    ],
)
def test_by_size_what_was_delivered_goes_before_what_was_not(
    database: sqlite3.Connection, sizes: list[int], looks: list[int], expected: tuple[int, ...], dropped: int
) -> None:
    sizes += looks
    assert Bounds(1_000, None, 1.0).apply(database) == dropped
    assert left(database) == expected
    assert SHARE_DROPPED == 0.05


def test_all_that_was_dropped_is_counted_together(database: sqlite3.Connection, sizes: list[int]) -> None:
    sizes += [2_000_000] * 3
    assert Bounds(90, Old(Mark(0.0, row=40, seq=20)), 1.0).apply(database) == 2 * 10 + 2 * 10 + 9


def test_what_rows_take_shrinks_with_them_and_the_file_does_not(database: sqlite3.Connection) -> None:
    def pages(name: str) -> int:
        return int(database.execute(f"PRAGMA {name}").fetchone()[0])

    assert used_bytes(database) == pages("page_count") * pages("page_size")
    whole = pages("page_count")
    database.execute("DELETE FROM event")
    database.execute("DELETE FROM outbox")
    assert pages("page_count") == whole
    assert used_bytes(database) == (whole - pages("freelist_count")) * pages("page_size") < whole * pages("page_size")
