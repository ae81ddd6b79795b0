"""Saving a run: one file that is always whole. A save that fails leaves the one before it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

from asit_edge.errors import AsitEdgeError


def save_whole(content: dict[str, Any], path: Path) -> None:
    """A checkpoint in torch's format. AsitEdgeError if that fails (a full disk)."""
    _whole(path, lambda file: torch.save(content, file))


def write_whole(path: Path, content: bytes) -> None:
    """Any other file. AsitEdgeError if that fails (a full disk)."""
    _whole(path, lambda file: file.write(content))


def _whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes aside, flushes to the disk, then renames."""
    aside = path.with_name(path.name + ".part")
    try:
        with aside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except (OSError, RuntimeError) as error:
        aside.unlink(missing_ok=True)
        kept = "; the checkpoint before it is whole" if path.exists() else ""
        raise AsitEdgeError(f"{path}: cannot be saved ({str(error).splitlines()[0]}){kept}") from None
