"""A configuration that changes while it listens: read anew when its file changes or SIGHUP comes, taken whole or not.

All that it needs is opened before anything of the one in force is closed. A configuration that changes what cannot
change while it listens (`asit_edge.remote.differing`), or that cannot be used, changes nothing: that is logged, and
said in `health`, until it is put right.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from asit_edge.assembly import fits
from asit_edge.audio.sources.source import Source
from asit_edge.config.remote import Wanted
from asit_edge.config.root import Config
from asit_edge.deliver.changing import Prepared
from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from asit_edge.host.flag import Flag
from asit_edge.model.bundle import Manifest
from asit_edge.remote.differing import differing, needing_restart

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between looks at the file; it is read once it has stayed the same for as long."""

Stamp = tuple[int, ...] | None
"""Another one means that the file is another; None: there is none."""


@dataclass(frozen=True)
class Changes:
    """Where a configuration comes from that takes the place of the first."""

    read: Callable[[], Config]
    """Raises AsitEdgeError where it cannot be used."""
    file: Path | None
    """Read anew when it changes."""
    asked: Flag
    """Set to have it read anew all the same."""
    tried: Callable[[Wanted | None], Config] | None = None
    """The same with this from afar; raises AsitEdgeError where it does not fit. None: nothing comes from there."""
    restart: threading.Event = field(default_factory=threading.Event)
    """Set to have the listener end, and begin anew."""


class Change(NamedTuple):
    """Another configuration, with all that is opened for it; nothing of the one before is closed yet."""

    config: Config
    opened: Mapping[str, Source]
    """Sources that are new, or not as they were, by name."""
    delivery: Prepared
    beside: Callable[[], None]
    """Puts what runs beside the listening in its place."""


class Reloading:
    """Of one listener. A thread of its own looks, reads and opens; the listening one takes what is ready."""

    def __init__(self, config: Config, changes: Changes, prepare: Callable[[Config, Config], Change]) -> None:
        """`config` is in force. `prepare` opens what the second of two needs that the first has not, and raises
        AsitEdgeError where that cannot be."""
        self._config, self._changes, self._prepare = config, changes, prepare
        self._ready: Change | None = None
        self._problem: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="reloading", daemon=True)

    def problem(self) -> str | None:
        """Why the file is not what is in force; in words for the user."""
        return self._problem

    @property
    def config(self) -> Config:
        """In force."""
        return self._config

    def start(self) -> None:
        self._thread.start()

    def take(self, manifest: Manifest) -> Change | None:
        """What is to be in force from now on, once, if it fits the model. For the listening thread."""
        ready, self._ready = self._ready, None
        if ready is None:
            return None
        try:
            fits(ready.config, manifest)
        except WrongUse as error:
            self._refuse(error)
            return None
        changed = ", ".join(sorted(differing(self._config, ready.config))) or "certificates or password of mqtt"
        log.info("configuration: changed, and in force: %s", changed)
        self._config, self._problem = ready.config, None
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
            if others := needing_restart(self._config, config):
                raise WrongUse(f"{', '.join(others)}: cannot change while it listens; start the listener again")
            change = self._prepare(self._config, config) if asked or config != self._config else None
        except AsitEdgeError as error:
            self._refuse(error)
            return
        if change and (config != self._config or change.delivery.broker):
            self._ready = change
            return
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
