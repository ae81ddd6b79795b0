"""Files that are always whole, and nobody else's business: what a microphone heard is for its owner alone."""

import contextlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

from asit_edge.errors import AsitEdgeError

OWNER_ONLY = 0o600
"""The mode of every file that is made here; folders are 0700."""


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it that are missing, for the owner alone. Raises OSError."""
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(exist_ok=True)  # raises what is wrong if something else has that name


def tighten(file: Path) -> None:
    """Takes from others what an older version, or somebody else, had given them; no file, no harm."""
    with contextlib.suppress(OSError):  # not ours, or a file system without owners
        mode = file.stat().st_mode
        if stat.S_ISREG(mode) and mode & 0o077:
            file.chmod(OWNER_ONLY)


def owner_only(path: str, flags: int) -> int:
    """An opener for `open`: what is made is for the owner alone, whatever the umask."""
    return os.open(path, flags, OWNER_ONLY)


def make_private(file: Path) -> None:
    """Makes an empty file if there is none; one that is there is tightened. Raises OSError."""
    with contextlib.suppress(FileExistsError), open(file, "xb", opener=owner_only):
        pass
    tighten(file)


def put_whole(file: Path, content: bytes) -> None:
    """Replaces a file in one step, also across a power cut, and makes folders that are missing. Raises OSError."""
    make_folder(file.parent)
    # 0600, as all that tempfile makes.
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as partial:
        try:
            partial.write(content)
            partial.flush()
            os.fsync(partial.fileno())
            os.replace(partial.name, file)
        except BaseException:
            Path(partial.name).unlink(missing_ok=True)
            raise


def write_whole(file: Path, content: bytes) -> None:
    """As `put_whole`. Raises AsitEdgeError if it cannot be written."""
    try:
        put_whole(file, content)
    except OSError as error:
        raise AsitEdgeError(f"{file}: cannot be written ({error.strerror})") from None


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a file; an empty one where there is none, or it cannot be read: what can be made anew."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def hand_over(file: Path, folder: Path) -> None:
    """What root has written for a service belongs to whom the folder belongs: the service has to be able to read it.

    Raises AsitEdgeError.
    """
    if os.geteuid() == 0:
        try:
            owner = folder.stat()
            os.chown(file, owner.st_uid, owner.st_gid)
        except OSError as error:
            raise AsitEdgeError(f"{file}: cannot be given to the owner of {folder} ({error.strerror})") from None
