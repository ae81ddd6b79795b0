"""A run that goes on has the settings with which it began: what differs is named."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from asit_edge.errors import WrongUse


def unchanged(
    saved: Mapping[str, Any], asked: Mapping[str, Any], where: Path, may_change: Collection[str], remedy: str
) -> None:
    """Raises WrongUse that names each setting whose change would make it another run, and the `remedy`."""
    changed = [key for key in asked if key not in may_change and asked[key] != saved.get(key)]
    if changed:
        words = ", ".join(f"{key} is {saved.get(key)} there and {asked[key]} here" for key in changed)
        raise WrongUse(f"{where}: is another run: {words}; resume with its settings or {remedy}")
