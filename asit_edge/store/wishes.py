"""Refused messages that are queued once more, also because another process asks whoever writes the store for it.

Only one process numbers rows, so another leaves its wish in the table `state` and finds the answer there.
"""

import contextlib
import json
import sqlite3
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from asit_edge.store.reading import opened

POLL = 0.1
WISH, ANSWER = "requeue ", "requeued "
"""Beginnings of names in `state`; what follows is the wish's own."""


class Wish(NamedTuple):
    """Which refused messages; None for any."""

    name: str
    sink: str | None
    topic: str | None


class RefusedTopic(NamedTuple):
    """So many messages of a topic that a sink refused, and why."""

    sink: str
    topic: str
    reason: str
    messages: int


def refused(path: Path) -> list[RefusedTopic]:
    """What is kept because a sink refused it. Raises AsitEdgeError if the store cannot be read."""
    query = "SELECT sink, topic, reason, count(*) FROM dead_letter GROUP BY sink, topic, reason ORDER BY sink, topic"
    with opened(path) as database:
        return [RefusedTopic(*row) for row in database.execute(query)]


def leave(path: Path, sink: str | None, topic: str | None) -> str:
    """Asks; returns the wish's name. Raises AsitEdgeError if the store cannot be written."""
    name, wish = uuid.uuid4().hex, json.dumps({"sink": sink, "topic": topic})
    with opened(path, "rw") as database:
        database.execute("INSERT INTO state (name, value) VALUES (?, ?)", (WISH + name, wish))
    return name


def answer(path: Path, name: str, seconds: float) -> int | None:
    """How many messages were queued; None if nobody has answered within so many seconds: the wish stays.

    Raises AsitEdgeError if the store cannot be read.
    """
    deadline = time.monotonic() + seconds
    with opened(path, "rw") as database:
        while True:
            for (value,) in database.execute("SELECT value FROM state WHERE name = ?", (ANSWER + name,)).fetchall():
                database.execute("DELETE FROM state WHERE name = ?", (ANSWER + name,))
                return int(value)
            if time.monotonic() >= deadline:
                return None
            time.sleep(POLL)


def wishes(rows: Sequence[tuple[str, str]]) -> list[Wish]:
    """Of rows of `state`, name and value."""
    found = []
    for name, value in rows:
        with contextlib.suppress(ValueError, TypeError, KeyError):  # not ours: no reason to stop writing
            wanted = json.loads(value)
            found.append(Wish(name.removeprefix(WISH), wanted["sink"], wanted["topic"]))
    return found


def requeue(database: sqlite3.Connection, which: tuple[str | None, ...], most: int, behind: int) -> int:
    """Moves the oldest refused messages back into the outbox, behind a row, within the transaction that is open.

    `which` is sink, topic and reason, None for any. Returns how many.
    """
    columns = ("sink", "topic", "reason")
    wanted = {column: value for column, value in zip(columns, which, strict=True) if value is not None}
    condition = "".join(f"AND {column} = ? " for column in wanted)
    found = database.execute(
        f"SELECT number, sink, topic, payload, refused FROM dead_letter WHERE 1 {condition}ORDER BY number LIMIT ?",
        (*wanted.values(), most),
    ).fetchall()
    database.executemany(
        "INSERT INTO outbox (row, sink, topic, payload, queued) VALUES (?, ?, ?, ?, ?)",
        [(behind + at, *one[1:]) for at, one in enumerate(found, 1)],
    )
    database.executemany("DELETE FROM dead_letter WHERE number = ?", [one[:1] for one in found])
    return len(found)


def grant(database: sqlite3.Connection, count: int, wish: Wish) -> None:
    """Leaves the answer in the wish's place, within the transaction that is open."""
    database.execute("DELETE FROM state WHERE name = ?", (WISH + wish.name,))
    database.execute("INSERT OR REPLACE INTO state (name, value) VALUES (?, ?)", (ANSWER + wish.name, str(count)))
