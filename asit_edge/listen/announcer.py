"""What the listening loop announces, as a protocol: events, states, levels and gaps out, commands in.

`asit_edge.deliver.delivery` is what stands behind it on a device; benchmarks and tests put their own there.
"""

import queue
from collections.abc import Mapping
from typing import Protocol

from asit_edge.messages.event import Event
from asit_edge.messages.report import Adjusted, Gap, Level, Status
from asit_edge.model.bundle import Manifest
from asit_edge.mqtt.commands import Command


class Announcer(Protocol):
    """What the listening loop talks to. No method raises because a disk is full or a broker away."""

    commands: "queue.SimpleQueue[Command]"
    """Commands that make sense: of a source that there is, about a label that the model has."""

    def events(self, source: str, events: list[Event]) -> list[Event]:
        """Commits and announces events; returns them as they are known from now on (numbered)."""
        ...

    def status(self, status: Status) -> None: ...

    def level(self, level: Level) -> None: ...

    def gap(self, gap: Gap) -> None: ...

    def know(self, manifest: Manifest) -> None:
        """What can be reported has changed: labels have come, or are not reported any more."""
        ...

    def threshold(self, source: str, label: str, on: float) -> None:
        """From now on events of this label (its display name) begin at that score: announced once it is applied."""
        ...

    def adjusted(self, adjusted: Adjusted) -> None:
        """What differs from now on from the configuration of a source: all of it, once it is applied."""
        ...


class Notes(Protocol):
    """Until when sources were heard, in epoch seconds, by this run or the one before: `LastHeard` keeps it."""

    def last(self, source: str) -> float | None: ...

    def note(self, times: Mapping[str, float]) -> None: ...
