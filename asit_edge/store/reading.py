"""The store's file as other commands open it, also while `listen` writes to it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from asit_edge.errors import AsitEdgeError, one_line
from asit_edge.store.database import SCHEMA_VERSION


@contextmanager
def opened(path: Path, mode: Literal["ro", "rw"] = "ro") -> Iterator[sqlite3.Connection]:
    """Raises AsitEdgeError if there is no store, none that can be read, or none of this version."""
    try:
        path.stat()
    except FileNotFoundError:
        raise AsitEdgeError(f"{path}: no such file; has asit-edge listen run on this device, as this user?") from None
    except OSError as error:
        raise AsitEdgeError(
            f"{path}: cannot be read ({error.strerror}); only the user as whom asit-edge listen runs may"
        ) from None
    what = "read" if mode == "ro" else "written"
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=10)
        try:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version != SCHEMA_VERSION:
                raise AsitEdgeError(f"{path}: schema {version}; asit-edge listen of this version brings it up to date")
            yield database
        finally:
            database.close()
    except sqlite3.Error as error:
        raise AsitEdgeError(f"{path}: cannot be {what} ({one_line(error)})") from None
