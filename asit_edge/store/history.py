"""What `asit-edge events` does: read the store on the device, also while `listen` writes to it."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from asit_edge.errors import AsitEdgeError, one_line
from asit_edge.messages.event import Event
from asit_edge.store.database import SCHEMA_VERSION

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
    try:
        path.stat()
    except FileNotFoundError:
        raise AsitEdgeError(f"{path}: no such file; has asit-edge listen run on this device, as this user?") from None
    except OSError as error:
        raise AsitEdgeError(
            f"{path}: cannot be read ({error.strerror}); only the user as whom asit-edge listen runs may"
        ) from None
    conditions, parameters = ["seq > ?"], list[object]([0])
    for condition, value in (("onset_epoch >= ?", since), ("label = ? COLLATE NOCASE", label), ("source = ?", source)):
        if value is not None:
            conditions.append(condition)
            parameters.append(value)
    query = f"SELECT seq, payload FROM event WHERE {' AND '.join(conditions)} ORDER BY seq LIMIT {AT_ONCE}"
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)
        try:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version != SCHEMA_VERSION:
                raise AsitEdgeError(f"{path}: schema {version}; asit-edge listen of this version brings it up to date")
            while True:
                rows = database.execute(query, parameters).fetchall()
                for seq, payload in rows:
                    parameters[0] = seq
                    yield Event.model_validate_json(payload)
                if len(rows) < AT_ONCE:
                    if follow is None or not follow():
                        return
                    time.sleep(POLL)
        finally:
            database.close()
    except sqlite3.Error as error:
        raise AsitEdgeError(f"{path}: cannot be read ({one_line(error)})") from None
