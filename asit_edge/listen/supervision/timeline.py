"""The time of one source: captures and what lies between them on one axis of samples, gaps included. Pure.

Time in the stream is position over rate; the steady clock says how long a gap was, and the wall clock only anchors the
axis. All times come in as arguments, in seconds.
"""

from typing import NamedTuple

from asit_edge.audio.clock import SampleClock, WallWatch

ABSENT = 2.0
"""Seconds that a source may take to begin before they count as missed."""

DRIFT = 0.1
"""Seconds by which a device's samples may run ahead of or behind the steady clock before times are corrected."""

SLEPT = 1.0
"""Seconds asleep since audio came from which on an interruption is the machine's suspend, whatever it looks like."""


class Gap(NamedTuple):
    """Audio that is being missed, from that position on."""

    begin: int
    cause: str


class Timeline:
    """Positions are samples at the model's rate since the beginning of the stream."""

    def __init__(self, rate: int, born: float, asleep: float) -> None:
        """`rate` in Hz; `born` is when the source was wanted, on the steady clock."""
        self.clock: SampleClock | None = None
        """When positions were; None before the first sample."""
        self.gap: Gap | None = None
        self._rate, self._born = rate, born
        self._origin = self._begin = 0.0
        self._wall = WallWatch(0.0)
        self._asleep = asleep

    def place(self, begin: float, wall_offset: float, *, live: bool, muted: bool) -> None:
        """A capture's first sample was heard at the steady time `begin`; the first capture anchors the axis.

        `wall_offset` is what to add to the steady clock to get the system's time.
        """
        self._begin = begin
        if self.clock is None:
            self._origin = self._born if live and begin - self._born > ABSENT else begin
            self._wall = WallWatch(wall_offset)
            self.clock = SampleClock(self._origin + wall_offset, self._rate)
            self.gap = Gap(0, "muted" if muted else "absent")

    def position_at(self, now: float) -> int:
        return round((now - self._origin) * self._rate)

    def position_of(self, index: int, rate: int) -> int:
        """Where sample `index` of the present capture lies."""
        return self.position_at(self._begin + index / rate)

    def behind(self, now: float, index: int, rate: int) -> float:
        """Seconds since sample `index` of the present capture was heard."""
        return now - self._begin - index / rate

    def epoch_at(self, now: float, wall: float) -> float:
        """The time on the clock of events; steps of the system clock do not move it."""
        return wall if self.clock is None else self.clock.anchor + now - self._origin

    def interrupt(self, position: int, cause: str, asleep: float) -> None:
        """What comes next does not follow on: a gap begins at `position`."""
        self.gap = Gap(position, "suspend" if asleep - self._asleep > SLEPT else cause)

    def resume(self) -> Gap | None:
        """Audio goes on. The gap that this ends, if there was one."""
        gap, self.gap = self.gap, None
        return gap

    def awake(self, asleep: float) -> None:
        """Audio comes: the machine has slept for so long in all until now."""
        self._asleep = asleep

    def lose(self, seconds: float) -> None:
        """So many seconds of audio never arrived, before the sample that is read next."""
        self._begin += seconds

    def follow_drift(self, seconds: float, *, quiet: bool) -> bool:
        """The device's second is not quite the machine's: re-anchors if it is time to; events keep their times."""
        if abs(seconds) < DRIFT or self.gap is not None or not quiet:
            return False
        assert self.clock is not None
        self._begin += seconds
        self._origin += seconds
        self.clock.anchor += seconds
        return True

    def follow_wall(self, now: float, wall: float, *, quiet: bool) -> float:
        """Somebody set the system clock: seconds by which times move, 0.0 for not at all; events keep their times."""
        off = self._wall.step(now, wall)
        if not off or self.gap is not None or not quiet:
            return 0.0
        assert self.clock is not None
        self._wall.offset += off
        self.clock.anchor += off
        return off
