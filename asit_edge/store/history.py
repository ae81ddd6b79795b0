"""What `asit-edge events` does: read the store on the device, also while `listen` writes to it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from asit_edge.messages.event import Event
from asit_edge.store.reading import opened

POLL = 0.5
AT_ONCE = 500


def history(
    path: Path,
    *,
    since: float | None = None,
    label: str | None = None,
    source: str | None = None,
    follow: Callable[[], bool] | None = None,
) -> Iterator[Event]:
    """The stored events in order; with `follow`, also those that come, until it says False.

    Raises AsitEdgeError if there is no store, or none that can be read.
    """
    conditions, parameters = ["seq > ?"], list[object]([0])
    for condition, value in (("onset_epoch >= ?", since), ("label = ? COLLATE NOCASE", label), ("source = ?", source)):
        if value is not None:
            conditions.append(condition)
            parameters.append(value)
    query = f"SELECT seq, payload FROM event WHERE {' AND '.join(conditions)} ORDER BY seq LIMIT {AT_ONCE}"
    with opened(path) as database:
        while True:
            rows = database.execute(query, parameters).fetchall()
            for seq, payload in rows:
                parameters[0] = seq
                yield Event.model_validate_json(payload)
            if len(rows) < AT_ONCE:
                if follow is None or not follow():
                    return
                time.sleep(POLL)
