"""When the blocks of one capture came, and what follows from that: when its audio was heard, what never arrived. Pure.

All times are in seconds of the steady clock and come in as arguments; samples are counted at the capture's rate.
"""

from typing import NamedTuple

from asit_edge.audio.clock import Pace

SETTLE = 0.5
"""Seconds of arrivals, at the beginning and after a pause, by which to tell when the first sample of them was heard."""

Arrival = tuple[int, float]
"""So many samples had come in all, at that time."""


class Verdict(NamedTuple):
    """What arrivals say before the next samples are read."""

    readable: int | None = None
    """Samples that may be read at most; None: any number. 0: wait, or ask again, until a pause has been judged."""
    lost: float = 0.0
    """Seconds that never arrived, before the next sample."""
    drifted: float = 0.0
    """Seconds by which the device's samples have crept away from the clock."""
    judged: bool = False
    """A pause has been judged just now: ask again."""


class Arrivals:
    """Of one capture. What is not live (a file) loses nothing: it only has a beginning."""

    def __init__(self, rate: int, live: bool, now: float, asleep: float) -> None:
        self.placed = False
        """Whether it is known when the first sample was heard."""
        self.come = False
        """Whether anything of a live capture has come."""
        self.stalled = False
        """Nothing has come for longer than it may take."""
        self._rate, self._live = rate, live
        self._pace = Pace(rate)
        self._first = now
        self._last, self._last_awake = now, now - asleep
        self._noticed: Arrival | None = None
        self._judged: Arrival | None = None

    def note(self, arrival: Arrival, asleep: float) -> None:
        """The newest arrival; `asleep` is how long the machine has slept in all."""
        written, at = arrival
        if not written:
            return
        if at != self._last:
            self._last, self._last_awake = at, at - asleep
        if self._live:
            self._pace.arrive(written, at)

    def place(self, arrival: Arrival, now: float, *, ending: bool) -> float | None:
        """When the first sample was heard, once, as soon as that can be told; None before and after."""
        written, at = arrival
        if self.placed or not written:
            return None
        begin: float | None = at - written / self._rate
        if self._live:
            if not self.come:
                self.come, self._first = True, at
            if not ending and now - self._first < SETTLE:
                return None
            self._pace.arrive(written, at)
            self._pace.anchor()
            begin = self._pace.begin
        self.placed = True
        return begin

    def waiting(self, now: float, asleep: float) -> float:
        """Seconds without an arrival; while the machine slept nobody waited."""
        return now - asleep - self._last_awake

    def judge(self, pause: Arrival | None, arrival: Arrival, index: int, now: float, *, ending: bool) -> Verdict:
        """Whether audio was lost or has drifted, with sample `index` to be read next.

        Up to a pause, audio belongs to what was before. What came after it waits until it has shown whether the device
        had kept it for us, or lost some.
        """
        if not self._live:
            return Verdict()
        if pause is None or pause == self._judged:
            lost, drifted = self._pace.windowed(arrival[1])
            return Verdict(lost=lost, drifted=drifted)
        if pause != self._noticed:
            self._noticed = pause
            self._pace.restart()
            self._pace.arrive(*arrival)
        if pause[0] > index:
            return Verdict(readable=pause[0] - index)
        if not ending and now - pause[1] < SETTLE:
            return Verdict(readable=0)
        self._judged = pause
        return Verdict(readable=0, lost=self._pace.settle(), judged=True)

    def shift(self, seconds: float) -> None:
        """What was lost, or has drifted, is accounted for."""
        self._pace.shift(seconds)
