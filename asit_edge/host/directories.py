"""Where this device keeps things: systemd's directories in a service, the user's XDG ones elsewhere."""

import os
from pathlib import Path


def default_cache() -> Path:
    """systemd's `CACHE_DIRECTORY`, or else the user's XDG cache."""
    return _directory("CACHE_DIRECTORY", "XDG_CACHE_HOME", ".cache")


def state_directory() -> Path:
    """systemd's `STATE_DIRECTORY`, or else the user's XDG state home."""
    return _directory("STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state")


def _directory(service: str, user: str, home: str) -> Path:
    if directory := os.environ.get(service):
        return Path(directory.partition(":")[0])
    return Path(os.environ.get(user) or Path.home() / home) / "asit-edge"
