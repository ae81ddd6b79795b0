"""How much the store keeps: so many rows, so many days, so many bytes. The oldest go first."""

import sqlite3
import time
from typing import NamedTuple

from asit_edge.store.age import Age

SHARE_DROPPED = 0.05
"""Of a table's rows, the oldest, at each look while the file is too large."""


class Bounds(NamedTuple):
    """`keep` counts events, and what waits for each sink; `age` and `max_mb` may be None, for no bound."""

    keep: int
    age: Age | None
    max_mb: float | None

    def apply(self, database: sqlite3.Connection) -> int:
        """Deletes what is beyond, within the transaction that is open; says how many undelivered messages that cost."""
        dropped = self._by_count(database)
        old = self.age.too_old(database, time.time(), time.monotonic()) if self.age else None
        if old is not None:
            database.execute("DELETE FROM event WHERE seq <= ?", (old.seq,))
            dropped += database.execute("DELETE FROM outbox WHERE row <= ?", (old.row,)).rowcount
        if self.max_mb is not None:
            dropped += self._by_size(database, self.max_mb * 1e6)
        return dropped

    def _by_count(self, database: sqlite3.Connection) -> int:
        # Numbers may jump, so rows are counted.
        database.execute(
            "DELETE FROM event WHERE seq <= (SELECT seq FROM event ORDER BY seq DESC LIMIT 1 OFFSET ?)", (self.keep,)
        )
        database.execute(
            "DELETE FROM dead_letter WHERE number <= (SELECT max(number) FROM dead_letter) - ?", (self.keep,)
        )
        dropped = 0
        for (sink,) in database.execute("SELECT DISTINCT sink FROM outbox").fetchall():
            dropped += database.execute(
                "DELETE FROM outbox WHERE sink = ? AND row <= "
                "(SELECT row FROM outbox WHERE sink = ? ORDER BY row DESC LIMIT 1 OFFSET ?)",
                (sink, sink, self.keep),
            ).rowcount
        return dropped

    def _by_size(self, database: sqlite3.Connection, most: float) -> int:
        """What was delivered goes before what was not."""
        dropped = 0
        for table, key in (("event", "seq"), ("dead_letter", "number"), ("outbox", "row")):
            if used_bytes(database) <= most:
                break
            count = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            gone = database.execute(
                f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} ORDER BY {key} LIMIT ?)",
                (round(count * SHARE_DROPPED) + 1,),
            ).rowcount
            dropped += gone if table == "outbox" else 0
        return dropped


def used_bytes(database: sqlite3.Connection) -> int:
    """What the rows take; the file does not shrink, but its free pages are used again."""
    pages, free, size = (
        database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
