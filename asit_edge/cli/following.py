"""What `asit-edge subscribe` does with what arrives: print it, and run a program for each event."""

import json
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TextIO

from asit_edge.deliver.sinks.base import Refused, Unavailable
from asit_edge.deliver.sinks.command import run_for
from asit_edge.errors import readable
from asit_edge.messages.event import Event
from asit_edge.messages.lines import describe
from asit_edge.messages.report import Gap, Status
from asit_edge.mqtt.client import Availability


@dataclass(frozen=True)
class Filter:
    """Which events a consumer wants; empty or zero for all."""

    labels: frozenset[str] = frozenset()
    min_score: float = 0.0
    types: frozenset[str] = frozenset()

    def wants(self, event: Event) -> bool:
        """By name of the label, in any case, by the highest score so far, and by the type of the message."""
        return (
            (not self.labels or event.label.casefold() in self.labels)
            and event.peak >= self.min_score
            and (not self.types or event.type in self.types)
        )


class Follower:
    """Events go to `out`; what else there is to know to standard error, so that `out` can be read by a program."""

    def __init__(
        self,
        wanted: Filter,
        out: TextIO,
        *,
        command: Sequence[str] = (),
        as_json: bool = False,
        count: int | None = None,
        soon: Callable[[Callable[[], None]], object] = lambda errand: errand(),
    ) -> None:
        """`command` is run for each event, with its JSON on standard input; `count` events are enough.

        `soon` runs it, or has it run: what comes from the broker does not wait for a program that is slow.
        """
        self._soon = soon
        self._wanted, self._out = wanted, out
        self._command, self._as_json, self._left = command, as_json, count
        self.enough = threading.Event()

    def on_event(self, event: Event) -> None:
        if self.enough.is_set() or not self._wanted.wants(event):
            return
        self._print(event.to_json() if self._as_json else readable(describe(event)))
        if self._command:
            self._soon(lambda: self._run(event))
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self.enough.set()

    def _run(self, event: Event) -> None:
        try:
            run_for(event.to_json(), self._command, None)
        except (Refused, Unavailable) as problem:
            _note(str(problem))

    def on_gap(self, gap: Gap) -> None:
        if self._as_json:
            self._print(json.dumps({"gap": json.loads(gap.to_json())}))
        else:
            _note(f"{gap.device}/{gap.source}: nothing was heard from {gap.begin} to {gap.end} ({gap.cause})")

    def on_status(self, status: Status) -> None:
        detail = f" ({status.detail})" if status.detail else ""
        _note(f"{status.device}/{status.source}: {status.state} since {status.since}{detail}")

    def on_availability(self, availability: Availability) -> None:
        _note(f"{availability.device}: {'online' if availability.online else 'offline'}")

    def _print(self, line: str) -> None:
        print(line, file=self._out, flush=True)


def _note(text: str) -> None:
    print(f"asit-edge: {readable(text)}", file=sys.stderr, flush=True)
