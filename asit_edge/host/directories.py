"""Where this device keeps things: systemd's directories in a service, the user's XDG ones elsewhere."""

import os
from pathlib import Path


def default_cache() -> Path:
    """systemd's `CACHE_DIRECTORY`, or else the user's XDG cache."""
    if directory := os.environ.get("CACHE_DIRECTORY"):
        return Path(directory.partition(":")[0])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "asit-edge"


def state_directory() -> Path:
    """systemd's `STATE_DIRECTORY`, or else the user's XDG state home."""
    if directory := os.environ.get("STATE_DIRECTORY"):
        return Path(directory.partition(":")[0])
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "asit-edge"
