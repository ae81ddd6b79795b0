"""A configuration that changes while it listens: read anew when its file changes or SIGHUP comes, taken whole or not.

What can change without anything being opened again is how scores become events: `events`, and `events` of the sources.
A configuration that changes anything else, or that cannot be used, changes nothing: that is logged, and said in
`health`, until it is put right.
"""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from asit_edge.assembly import fits
from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from asit_edge.model.bundle import Manifest

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between looks at the file; it is read once it has stayed the same for as long."""

AT_ONCE = re.compile(
    r"^(sources\.\d+\.)?events\.(min_duration|merge_gap|cooldown|max_duration|update_every|only|labels|quiet_hours)\b"
)
"""Keys that can change while it listens."""

Stamp = tuple[int, ...] | None
"""Another one means that the file is another; None: there is none."""


class Changes(NamedTuple):
    """Where a configuration comes from that takes the place of the first."""

    read: Callable[[], Config]
    """Raises AsitEdgeError where it cannot be used."""
    file: Path | None
    """Read anew when it changes."""
    asked: threading.Event
    """Set to have it read anew all the same."""


class Reloading:
    """Of one listener. A thread of its own looks and reads; the listening one takes what is ready."""

    def __init__(self, config: Config, changes: Changes) -> None:
        """`config` is in force."""
        self._config, self._changes = config, changes
        self._ready: Config | None = None
        self._problem: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="reloading", daemon=True)

    def problem(self) -> str | None:
        """Why the file is not what is in force; in words for the user."""
        return self._problem

    def start(self) -> None:
        self._thread.start()

    def take(self, manifest: Manifest) -> Config | None:
        """What is to be in force from now on, once, if it fits the model. For the listening thread."""
        ready, self._ready = self._ready, None
        if ready is None:
            return None
        try:
            fits(ready, manifest)
        except WrongUse as error:
            self._refuse(error)
            return None
        log.info("configuration: changed, and in force: %s", ", ".join(sorted(differing(self._config, ready))))
        self._config, self._problem = ready, None
        return ready

    def stop(self) -> None:
        self._stopping.set()

    def _watch(self) -> None:
        read: Stamp = ()  # it may have changed while the listener started
        seen = self._stamp()
        while not self._stopping.is_set():
            asked = self._changes.asked.wait(LOOK_EVERY)
            before, seen = seen, self._stamp()
            if asked or (seen != read and seen == before):  # not while somebody still writes it
                self._changes.asked.clear()
                read = seen
                self._consider(asked)

    def _consider(self, asked: bool) -> None:
        try:
            config = self._changes.read()
        except AsitEdgeError as error:
            self._refuse(error)
            return
        changed = sorted(differing(self._config, config))
        if others := [key for key in changed if not AT_ONCE.match(key)]:
            self._refuse(WrongUse(f"{', '.join(others)}: cannot change while it listens; start the listener again"))
        elif changed:
            self._ready = config
        else:
            self._problem = None
            if asked:
                log.info("configuration: read again, nothing has changed")

    def _refuse(self, error: AsitEdgeError) -> None:
        said = f"configuration: not taken, what was before stays in force: {one_line(error)}"
        if said != self._problem:
            log.error("%s", said)
        self._problem = said

    def _stamp(self) -> Stamp:
        try:
            found = os.stat(self._changes.file) if self._changes.file else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None


def differing(before: Config, after: Config) -> Iterator[str]:
    """Keys, with points between their parts, whose values are not the same."""
    yield from _differing(before.model_dump(), after.model_dump(), "")


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
