"""Puts files where they belong: each as a whole, for whom it is meant, and all before the one that names them."""

import os
from collections.abc import Sequence
from pathlib import Path

from asit_edge.config.file import SYSTEM_CONFIG
from asit_edge.errors import AsitEdgeError
from asit_edge.host.files import write_whole
from asit_edge.setup.draft import NewFile


def write(files: Sequence[NewFile]) -> None:
    """In this order. Raises AsitEdgeError."""
    for file in files:
        _open_to_all(file.path.parent)
        write_whole(file.path, file.text.encode())
        try:
            file.path.chmod(file.mode)
        except OSError as error:
            raise AsitEdgeError(f"{file.path}: cannot be given its mode ({error.strerror})") from None


def writable(path: Path) -> None:
    """Raises AsitEdgeError where nothing could be written, before anything is asked."""
    folder = next(one for one in (path.parent, *path.parent.parents) if one.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        remedy = "run it with sudo, or name another file with --config"
        raise AsitEdgeError(f"{path}: cannot be written by this user; {remedy}")


def _open_to_all(folder: Path) -> None:
    """The system's service is another user, and goes through its folder to the configuration."""
    if folder == SYSTEM_CONFIG.parent:
        try:
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise AsitEdgeError(f"{folder}: cannot be made ({error.strerror})") from None
