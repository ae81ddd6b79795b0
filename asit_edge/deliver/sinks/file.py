"""Events as lines of a file; a file that has grown too large becomes `<path>.1`, in place of the one before it."""

import errno
import os
import stat
from pathlib import Path

from asit_edge.config.delivery import FileSink
from asit_edge.deliver.sinks.base import Send, Unavailable
from asit_edge.errors import one_line
from asit_edge.host.files import owner_only, tighten


def open_file(settings: FileSink) -> Send:
    """Nothing is opened yet: the file may come and go (a mounted disk, log rotation).

    What is there is made the owner's alone; whoever else is to read it may be given that while this runs.
    """
    for file in (settings.path, _older(settings.path)):
        tighten(file)

    def send(payload: str) -> None:
        path, line = settings.path, (payload + "\n").encode()
        try:
            if path.exists() and path.stat().st_size + len(line) > settings.max_mb * 1e6:
                path.replace(_older(path))
            with open(path, "ab", buffering=0, opener=_never_waiting) as file:
                before = os.fstat(file.fileno())
                written = file.write(line)
                if written is None:
                    raise Unavailable(f"{path}: is a pipe, and whoever reads it does not keep up")
                if written != len(line):
                    if stat.S_ISREG(before.st_mode):
                        os.truncate(path, before.st_size)  # half a line would spoil the next one
                    raise OSError("no space left for a whole line")
                if stat.S_ISREG(before.st_mode):
                    os.fsync(file.fileno())
        except OSError as error:
            if error.errno == errno.ENXIO:
                raise Unavailable(f"{path}: is a pipe, and nobody reads it") from None
            raise Unavailable(f"{path}: {one_line(error)}") from None

    return send


def _never_waiting(path: str, flags: int) -> int:
    """For pipes: one that nobody reads, or reads too slowly, is an error and no reason to hang."""
    return owner_only(path, flags | os.O_NONBLOCK)


def _older(path: Path) -> Path:
    return path.with_name(path.name + ".1")
