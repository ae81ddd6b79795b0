"""What `asit-edge subscribe` does: follow events as a consumer, print them or run a program for each."""

import json
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TextIO

from asit_edge.config.delivery import Mqtt
from asit_edge.deliver.sinks.base import Refused, Unavailable
from asit_edge.deliver.sinks.command import run_for
from asit_edge.errors import AsitEdgeError
from asit_edge.messages.event import Event
from asit_edge.messages.report import Gap, Status
from asit_edge.mqtt.client import Availability, Client

FIRST_ATTEMPT = 15.0


@dataclass(frozen=True)
class Filter:
    """Which events a consumer wants; empty or zero for all."""

    labels: frozenset[str] = frozenset()
    min_score: float = 0.0

    def wants(self, event: Event) -> bool:
        """By name of the label, in any case, and by the highest score."""
        return (not self.labels or event.label.casefold() in self.labels) and event.peak >= self.min_score


def describe(event: Event) -> str:
    """One line for people."""
    span = f"{event.onset} to {event.offset}" if event.offset else event.onset
    mark = "  (told late)" if event.replayed else ""
    return f"{event.device}/{event.source}  {event.type:<6} {event.label:<30} peak {event.peak:.2f}  {span}{mark}"


def follow(
    settings: Mqtt,
    wanted: Filter,
    out: TextIO,
    stopping: Callable[[], bool],
    *,
    device: str = "+",
    source: str = "+",
    command: Sequence[str] = (),
    as_json: bool = False,
    count: int | None = None,
    client_id: str | None = None,
) -> None:
    """Follows events until `stopping()`, or until `count` have come.

    Raises AsitEdgeError if there is no broker at first. Later the connection is found again however long it takes.
    """
    enough = threading.Event()
    given = 0

    def on_event(event: Event) -> None:
        nonlocal given
        if enough.is_set() or not wanted.wants(event):
            return
        print(event.to_json() if as_json else describe(event), file=out, flush=True)
        if command:
            try:
                run_for(event.to_json(), command, None)
            except (Refused, Unavailable) as problem:
                print(f"asit-edge: {problem}", file=sys.stderr)
        given += 1
        if count is not None and given >= count:
            enough.set()

    def on_gap(gap: Gap) -> None:
        if as_json:
            print(json.dumps({"gap": json.loads(gap.to_json())}), file=out, flush=True)
        else:
            note(f"{gap.device}/{gap.source}: nothing was heard from {gap.begin} to {gap.end} ({gap.cause})")

    def on_status(status: Status) -> None:
        detail = f" ({status.detail})" if status.detail else ""
        note(f"{status.device}/{status.source}: {status.state} since {status.since}{detail}")

    def on_availability(availability: Availability) -> None:
        note(f"{availability.device}: {'online' if availability.online else 'offline'}")

    def note(text: str) -> None:
        print(f"asit-edge: {text}", file=sys.stderr, flush=True)

    client = Client(
        settings,
        client_id=client_id,
        device=device,
        source=source,
        on_event=on_event,
        on_gap=on_gap,
        on_status=on_status,
        on_availability=on_availability,
    )
    with client:
        if not client.subscribed(FIRST_ATTEMPT):
            raise AsitEdgeError(client.problem or "no connection to the broker")
        while not stopping() and not enough.is_set():
            client.wait(0.1)
