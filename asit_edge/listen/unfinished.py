"""Every event ends: what the run before left open, because it was killed or lost its power, is ended by the next."""

import logging
from collections.abc import Callable
from typing import Protocol

from asit_edge.audio.clock import iso
from asit_edge.listen.announcer import Announcer
from asit_edge.listen.reporter import Output
from asit_edge.messages.event import Event

log = logging.getLogger(__name__)


class Leftovers(Announcer, Protocol):
    """An announcer that knows what the run before announced."""

    def unfinished(self) -> list[Event]:
        """The last message of every event that began and did not end."""
        ...


def end_unfinished(announcer: Leftovers, heard: Callable[[str], float | None], now: float, out: Output) -> None:
    """To be called before anything is heard. `heard` says until when a source was, in epoch seconds, as `now` is."""
    unfinished = announcer.unfinished()
    if unfinished:
        log.warning(
            "the run before broke off while %d event(s) were going on; they end with what was heard last",
            len(unfinished),
        )
    for event in unfinished:
        for told in announcer.events(event.source, [ended(event, heard(event.source), now)]):
            print(told.to_json(), file=out, flush=True)


def ended(event: Event, heard_until: float | None, now: float) -> Event:
    """The end of an event, not told as it happened; the time after it is in the gap with the cause `restart`."""
    offset = max(heard_until if heard_until is not None else event.onset_epoch, event.onset_epoch)
    return event.model_copy(
        update={
            "type": "end",
            "offset": iso(offset),
            "duration": round(offset - event.onset_epoch, 3),
            "latency_ms": max(round((now - event.onset_epoch) * 1000), 0),
            "replayed": True,
        }
    )
