"""A folder of things computed once and read by every run."""

import fcntl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def filling(folder: Path) -> Iterator[None]:
    """Runs that share a folder fill it in turn: who comes second waits, and then finds what the first one computed.

    A run that is killed lets go of it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{folder}: another run is filling it; waiting", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def computed_once(file: Path, compute: Callable[[], object]) -> None:
    """Calls `compute`, which writes `file`, unless it is there already: then nothing in its folder is touched."""
    if not file.is_file():
        with filling(file.parent):
            if not file.is_file():
                compute()
