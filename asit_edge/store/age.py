"""How old rows are, by time that has surely passed: a clock that jumps makes nothing old.

What counts is the time in which the store was open, by a clock that does not step, and between two runs what the wall
clock says, but no more than a tenth of the limit at once. Marks say which rows there were at which age.
"""

import json
import sqlite3
from typing import Any, NamedTuple

from asit_edge.store.database import highest

DAY = 86_400.0
FINE = 0.01
"""Of the limit: marks are so far apart, so that rows are dropped that much too late at most."""

AWAY = 0.1
"""Of the limit: what the time between two runs counts at most."""


class Mark(NamedTuple):
    """At that age, in seconds, these were the newest rows."""

    age: float
    row: int
    seq: int


class Age:
    """Of one store; `max_days` is how old rows may become."""

    def __init__(self, max_days: float) -> None:
        self.days = max_days
        self._limit = max_days * DAY
        self._age = 0.0
        self._marks: list[Mark] | None = None
        self._steady = 0.0
        self._noted = float("-inf")

    def too_old(self, database: sqlite3.Connection, wall: float, steady: float) -> Mark | None:
        """The newest rows that have become too old. Reads and writes `state`, within the transaction that is open.

        `wall` in seconds since the epoch, `steady` of a clock that does not step, and begins anew with each process.
        """
        if self._marks is None:
            self._marks = self._read(database, wall)
        else:
            self._age += max(steady - self._steady, 0.0)
        self._steady = steady
        old = [mark for mark in self._marks if self._age - mark.age >= self._limit]
        if not self._marks or self._age - self._marks[-1].age >= FINE * self._limit:
            self._marks.append(Mark(self._age, highest(database, "outbox", "row"), highest(database, "event", "seq")))
            self._noted = float("-inf")
        if old:
            self._marks = [mark for mark in self._marks if mark not in old]
        if self._age - self._noted >= FINE * self._limit or old:
            self._noted = self._age
            value = json.dumps({"age": self._age, "wall": wall, "marks": self._marks})
            database.execute("INSERT OR REPLACE INTO state (name, value) VALUES ('age', ?)", (value,))
        return old[-1] if old else None

    def _read(self, database: sqlite3.Connection, wall: float) -> list[Mark]:
        found = database.execute("SELECT value FROM state WHERE name = 'age'").fetchone()
        try:
            noted: dict[str, Any] = json.loads(found[0]) if found else {"age": 0.0, "wall": wall, "marks": []}
            self._age = float(noted["age"]) + min(max(wall - float(noted["wall"]), 0.0), AWAY * self._limit)
            return [Mark(float(age), int(row), int(seq)) for age, row, seq in noted["marks"]]
        except (ValueError, TypeError, KeyError):
            return []
