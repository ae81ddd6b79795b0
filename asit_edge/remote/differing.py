"""What differs between two configurations, by key, and what of it cannot change while a listener runs. Pure."""

import re
from collections.abc import Iterator
from typing import Any

from asit_edge.config.root import Config
from asit_edge.config.sources import SourceSettings, StdinSource

AT_ONCE = re.compile(
    r"events\.(min_duration|merge_gap|cooldown|max_duration|update_every|only|labels|quiet_hours)\b"
    r"|sources\b|sinks\b|mqtt\.(?!prefix\b)|home_assistant\.|clips\.|web\.(?!enabled\b)"
    r"|store\.(keep|max_days|max_mb)\b"
)
"""Keys that can change while it listens, from their beginning."""


def differing(before: Config, after: Config) -> Iterator[str]:
    """Keys, with points between their parts, whose values are not the same."""
    yield from _differing(before.model_dump(), after.model_dump(), "")


def needing_restart(before: Config, after: Config) -> list[str]:
    """Keys that differ and cannot change while it listens."""
    found = [key for key in differing(before, after) if not AT_ONCE.match(key)]
    other = other_sources(before, after)
    return sorted({*found, *(f"sources ({one.name}: standard input)" for one in other if isinstance(one, StdinSource))})


def other_sources(before: Config, after: Config) -> list[SourceSettings]:
    """Those that are new, or not opened as they were; how their scores become events is another matter."""
    known = {entry.name: _opened_by(entry) for entry in before.sources}
    return [entry for entry in after.sources if known.get(entry.name) != _opened_by(entry)]


def _opened_by(entry: SourceSettings) -> dict[str, Any]:
    return entry.model_dump(exclude={"events"})


def _differing(before: Any, after: Any, key: str) -> Iterator[str]:
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after) and _mappings(before, after):
        before, after = dict(enumerate(before)), dict(enumerate(after))
    if isinstance(before, dict) and isinstance(after, dict):
        for part in {**before, **after}:
            yield from _differing(before.get(part), after.get(part), f"{key}.{part}" if key else str(part))
    elif before != after:
        yield key


def _mappings(*lists: list[Any]) -> bool:
    return all(isinstance(one, dict) for values in lists for one in values)
