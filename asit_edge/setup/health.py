"""Whether a listener lives, for service managers that ask: by the note that its loop leaves beside the store."""

import json
import time
from pathlib import Path
from typing import NamedTuple

from asit_edge.config.root import Config

NOTE = "heard.json"
"""Written anew every 10 s as long as the loop goes round, whether or not sources are there."""


class Health(NamedTuple):
    well: bool
    sentence: str


def health(config: Config, within: float, heard: float | None) -> Health:
    """Well where the loop went round `within` so many seconds and, if asked, some source was `heard` within so many."""
    note = config.store.effective_path.with_name(NOTE)
    try:
        age = time.time() - note.stat().st_mtime
    except OSError:
        return Health(False, f"{note}: is not there; no listener has run here yet")
    if age > within:
        return Health(False, f"the listener has given no sign for {age:.0f} s")
    known, now = _times(note), time.time()
    ages = {source.name: now - known[source.name] for source in config.sources if source.name in known}
    said = ", ".join(f"{name} {age:.0f} s ago" for name, age in ages.items()) or "no source yet"
    well = heard is None or any(age <= heard for age in ages.values())
    return Health(well, f"heard: {said}")


def _times(note: Path) -> dict[str, float]:
    try:
        return {str(name): float(value) for name, value in json.loads(note.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
