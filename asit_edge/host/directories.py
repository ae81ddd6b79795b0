"""Where this device keeps things: systemd's directories in a service, the user's XDG ones elsewhere."""

import os
from pathlib import Path

from asit_edge.errors import WrongUse


def default_cache() -> Path:
    """systemd's `CACHE_DIRECTORY`, or else the user's XDG cache. Raises WrongUse where there is none of them."""
    return _directory("CACHE_DIRECTORY", "XDG_CACHE_HOME", ".cache")


def state_directory() -> Path:
    """systemd's `STATE_DIRECTORY`, or else the user's XDG state home. Raises WrongUse where there is none of them."""
    return _directory("STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state")


def config_directory() -> Path:
    """The user's own configuration: the XDG one. Raises WrongUse where there is none."""
    return _directory("CONFIGURATION_DIRECTORY", "XDG_CONFIG_HOME", ".config")


_WHAT = {
    "CACHE_DIRECTORY": "engines and measurements",
    "STATE_DIRECTORY": "the event store",
    "CONFIGURATION_DIRECTORY": "the configuration",
}
_ALSO = {"CACHE_DIRECTORY": "", "CONFIGURATION_DIRECTORY": "", "STATE_DIRECTORY": ", or store.path in config.yaml"}


def _directory(service: str, user: str, home: str) -> Path:
    if directory := os.environ.get(service):
        return Path(directory.partition(":")[0])
    if directory := os.environ.get(user):
        return Path(directory) / "asit-edge"
    try:
        return Path.home() / home / "asit-edge"
    except RuntimeError:  # no HOME, and no entry in the system's list of users, as in some containers
        raise WrongUse(
            f"this user (number {os.getuid()}) has no home directory, so there is no place for {_WHAT[service]}; "
            f"set HOME or {service} to a directory that it may write to{_ALSO[service]}"
        ) from None
