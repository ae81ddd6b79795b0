"""How often each label was heard, half hour by half hour: counted once, and from then on only what is new."""

import threading
from collections import Counter
from pathlib import Path

from asit_edge.store.listing import hurried

SLOT = 1800.0
"""Seconds: half an hour, so that the hours of nearly every time zone are sums of them."""

DAYS = 8
"""What is kept: a week, and a day for where it begins."""


class Tally:
    """Of the store in `path`; for any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, int]] = Counter()
        self._seq = 0

    def counts(self, since: float, now: float) -> dict[tuple[str, int], int]:
        """Label and slot (from the epoch on) to the events that began in it. Raises AsitEdgeError."""
        oldest = int((now - DAYS * 86_400) // SLOT)
        with self._lock:
            with hurried(self._path) as database:
                last = database.execute("SELECT max(seq) FROM event").fetchone()[0] or 0
                if last < self._seq:  # another file than before
                    self._seq, self._counts = 0, Counter()
                rows = database.execute(
                    "SELECT label, onset_epoch FROM event WHERE seq > ? AND seq <= ? AND type = 'new'",
                    (self._seq, last),
                )
                found = Counter((label, int(onset // SLOT)) for label, onset in rows if onset // SLOT >= oldest)
            self._counts.update(found)
            self._seq = last
            for key in [key for key in self._counts if key[1] < oldest]:
                del self._counts[key]
            first = since // SLOT
            return {key: count for key, count in self._counts.items() if key[1] >= first}
