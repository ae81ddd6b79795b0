"""Events of the store as a list to look through: the newest first, each once, as it was told last, page by page."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from asit_edge.errors import AsitEdgeError
from asit_edge.messages.event import Event
from asit_edge.store.reading import opened

MOST = 200
"""Events of one page."""

PATIENCE = 10.0
"""Seconds that a look may take."""

_STEPS = 10_000
"""Of SQLite's machine, between looks at the time."""


@dataclass(frozen=True)
class Wanted:
    """Which events: times in seconds since the epoch; `before` continues behind a page's last number."""

    since: float | None = None
    until: float | None = None
    label: str | None = None
    source: str | None = None
    before: int | None = None
    limit: int = 50


@dataclass(frozen=True)
class Listed:
    """An event as it was told last; `number` is where the next page begins behind it."""

    number: int
    event: Event


def listing(path: Path, wanted: Wanted) -> list[Listed]:
    """At most MOST. Raises AsitEdgeError if there is no store, none that can be read, or it takes too long."""
    with hurried(path) as database:
        return _page(database, wanted)


def all_listed(path: Path, wanted: Wanted, most: int) -> Iterator[Listed]:
    """Page after page, up to `most` events. Raises AsitEdgeError."""
    page = replace(wanted, limit=min(most, MOST))
    while most > 0 and (found := listing(path, replace(page, limit=min(most, MOST)))):
        yield from found
        most -= len(found)
        page = replace(page, before=found[-1].number)


def find(path: Path, event_id: str) -> Event | None:
    """The event of that id, as it was told last. Raises AsitEdgeError."""
    with hurried(path) as database:
        row = database.execute(
            "SELECT payload FROM event WHERE id = ? ORDER BY seq DESC LIMIT 1", (event_id,)
        ).fetchone()
    return Event.model_validate_json(row[0]) if row else None


def waiting(path: Path) -> dict[str, int]:
    """Messages that each sink has not taken yet. Raises AsitEdgeError."""
    with hurried(path) as database:
        return dict(database.execute("SELECT sink, count(*) FROM outbox GROUP BY sink ORDER BY sink").fetchall())


@contextmanager
def hurried(path: Path, seconds: float = PATIENCE) -> Iterator[sqlite3.Connection]:
    """The store, to be read, for so long at most. Raises AsitEdgeError."""
    latest = time.monotonic() + seconds
    with opened(path) as database:
        database.set_progress_handler(lambda: time.monotonic() > latest, _STEPS)
        try:
            yield database
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                raise
            raise AsitEdgeError(f"{path}: it takes too long to look through all of it; choose a shorter time") from None


def _page(database: sqlite3.Connection, wanted: Wanted) -> list[Listed]:
    conditions, parameters = ["type = 'new'"], list[object]()
    for condition, value in (
        ("seq < ?", wanted.before),
        ("onset_epoch >= ?", wanted.since),
        ("onset_epoch < ?", wanted.until),
        ("label = ? COLLATE NOCASE", wanted.label),
        ("source = ?", wanted.source),
    ):
        if value is not None:
            conditions.append(condition)
            parameters.append(value)
    query = f"SELECT seq, id, payload FROM event WHERE {' AND '.join(conditions)} ORDER BY seq DESC LIMIT ?"
    begun = database.execute(query, [*parameters, max(min(wanted.limit, MOST), 1)]).fetchall()
    if not begun:
        return []
    latest = {identity: payload for _, identity, payload in begun}
    open_ones = set(latest)
    marks = ",".join("?" * len(open_ones))
    query = f"SELECT id, type, payload FROM event WHERE seq > ? AND id IN ({marks}) ORDER BY seq"
    later = database.execute(query, [begun[-1][0], *open_ones])
    for identity, kind, payload in later:  # stops where all have ended: most do soon
        latest[identity] = payload
        if kind == "end":
            open_ones.discard(identity)
            if not open_ones:
                break
    return [Listed(seq, Event.model_validate_json(latest[identity])) for seq, identity, _ in begun]
