"""What the page is made of: what it shows, and what it may ask for."""

import queue
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from asit_edge.errors import AsitEdgeError
from asit_edge.live.hub import Hub
from asit_edge.messages.report import Health
from asit_edge.mqtt.commands import Command
from asit_edge.web.answers import Refused
from asit_edge.web.guards.access import Access
from asit_edge.web.guards.hosts import Hosts

Found = TypeVar("Found")

AT_ONCE = 4
"""Looks at the disk."""


class Shelf(Protocol):
    """Where recordings of events are."""

    def find(self, event_id: str) -> Path | None:
        """The file with that event's clip, if there is one."""
        ...

    def at(self, name: str) -> Path | None:
        """The file of that name below the folder of clips, if it is a clip's."""
        ...


class Amend(Protocol):
    """What corrects: says what was done, in the user's words. Raises AsitEdgeError."""

    def __call__(self, label: str, kind: str, what: str, begin: float, end: float, source: str | None) -> str: ...


@dataclass(frozen=True)
class Parts:
    """Of one listener. What is None is not there, and the page does without."""

    hub: Hub
    access: Access
    hosts: Hosts
    store: Path
    commands: "queue.SimpleQueue[Command]"
    about: dict[str, Any]
    """What does not change while it runs: versions, what runs the model."""
    delivery: Callable[[], Health]
    """How store and sinks are doing at the moment."""
    cookie: str = "asit_edge"
    ingress: str | None = None
    """The address from which whoever comes has been let in."""
    amend: Amend | None = None
    shelf: Shelf | None = None
    exposition: Callable[[], bytes] | None = None
    health: Callable[[], tuple[bool, dict[str, Any]]] | None = None


class Aside:
    """Runs what may wait for a disk in threads, few at once, so that no number of requests occupies the machine."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._limiter: CapacityLimiter | None = None

    async def run(self, do: Callable[..., Found], *arguments: Any, **more: Any) -> Found:
        """Raises Refused with the words of an AsitEdgeError."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(self._at_once)
        try:
            return await anyio.to_thread.run_sync(partial(do, *arguments, **more), limiter=self._limiter)
        except AsitEdgeError as error:
            raise Refused(409, str(error)) from None
