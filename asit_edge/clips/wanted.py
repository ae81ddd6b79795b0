"""An event that is to have a clip: from when to when, and since when there is nothing more to wait for. Pure."""

from dataclasses import dataclass

from asit_edge.audio.clock import parse_iso
from asit_edge.config.clips import Clips
from asit_edge.messages.event import Event

LATE = 10.0
"""Seconds that announcements may be late, and scores behind the audio."""


@dataclass
class Wanted:
    """`event` is the newest message about it; times are seconds since the epoch."""

    event: Event
    begin: float
    latest: float
    """Nothing behind it is in the clip, however long the sound lasts."""
    until: float
    give_up: float = float("inf")
    """On a clock that does not step: if there was no audio until then, none will come."""

    @classmethod
    def of(cls, event: Event, settings: Clips) -> "Wanted":
        begin = event.onset_epoch - settings.before
        return cls(event, begin, begin + settings.max_seconds, begin + settings.max_seconds)

    def hear_of(self, event: Event, settings: Clips, steady: float, margin: float) -> None:
        """Another message; `margin` is for how long, behind the clip, it still matters what is heard."""
        self.event, self.until = event, self.until_by(event, settings)
        if self.over:
            self.give_up = steady + settings.after + margin + LATE

    def until_by(self, event: Event, settings: Clips) -> float:
        """Until when the clip goes if that is the newest message."""
        return self.latest if event.offset is None else min(parse_iso(event.offset) + settings.after, self.latest)

    @property
    def over(self) -> bool:
        return self.event.type == "end"
