"""Time is counted in samples; the wall clock only says when sample 0 was.

Three clocks of the system take part. The steady one runs on through a suspend and never steps: all durations are
measured with it. The wall clock is read to anchor a stream, and watched; its steps are not followed at once, and never
while an event is active. The time asleep tells a suspend from a device that stalled.
"""

import time
from collections import deque
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """What a listener asks the system; virtual in replays and tests. All in seconds."""

    def steady(self) -> float:
        """Never steps; goes on while the machine sleeps."""
        ...

    def wall(self) -> float:
        """Since the epoch, as the system believes."""
        ...

    def asleep(self) -> float:
        """Spent suspended, since some point in the past."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def steady(self) -> float:
        return steady()

    def wall(self) -> float:
        return time.time()

    def asleep(self) -> float:
        return steady() - time.monotonic()


if hasattr(time, "CLOCK_BOOTTIME"):

    def steady() -> float:
        """Seconds that never step and go on through a suspend (CLOCK_BOOTTIME)."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

else:  # other systems than Linux

    def steady() -> float:
        """Seconds that never step."""
        return time.monotonic()


class SampleClock:
    """Wall-clock times of sample positions: `anchor + position / rate`. Steps of the system clock do not move them."""

    def __init__(self, anchor: float, rate: int) -> None:
        """`anchor` is the time of sample 0 in seconds since the epoch, `rate` in Hz."""
        self.anchor = anchor
        self.rate = rate

    def epoch(self, position: int) -> float:
        """Seconds since the epoch, to the millisecond."""
        return round(self.anchor + position / self.rate, 3)


STEP = 0.25
"""Seconds by which the wall clock must be off before it counts as stepped."""

BELIEVED_AFTER = 60.0
"""Seconds for which a step must last: one that is taken back in time moves nothing."""


class WallWatch:
    """Notices when the wall clock has stepped, and stayed where it went."""

    def __init__(self, offset: float) -> None:
        """`offset` is what to add to the steady clock to get the anchored time."""
        self.offset = offset
        self._since: float | None = None
        self._towards = 0.0

    def step(self, steady: float, wall: float) -> float:
        """Seconds by which the anchor is wrong for good; 0.0 while the clocks agree, or it is too early to say."""
        off = wall - steady - self.offset
        if abs(off) < STEP:
            self._since = None
            return 0.0
        if self._since is None or abs(off - self._towards) >= STEP:
            self._since, self._towards = steady, off
        return off if steady - self._since >= BELIEVED_AFTER else 0.0


WINDOW = 2.0
"""Seconds over which arrivals are compared: the least delayed one in it shows where the samples really are."""

JUMP = 0.12
"""Seconds by which samples must fall behind, from one window to the one after the next, to count as lost."""


class Pace:
    """Compares a device's sample counter with the steady clock.

    Blocks arrive late, never early, so the earliest `arrival - samples / rate` of a window is when sample 0 must have
    been heard, as far as that window knows. It creeps when the device's crystal is not the machine's (drift), and
    jumps when samples were lost between the device and us.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self.begin: float | None = None
        """The steady time of sample 0 as counted so far, lost samples included; None before the first arrival."""
        self._window: float | None = None
        self._earliest = 0.0
        self._earlier: deque[float] = deque(maxlen=2)

    def arrive(self, written: int, at: float) -> None:
        """`written` samples in all have come by the steady time `at`. Times go forwards."""
        zero = at - written / self._rate
        if self.begin is None:
            self.begin = zero
        if self._window is None:
            self._window, self._earliest = at, zero
        self._earliest = min(self._earliest, zero)

    def restart(self) -> None:
        """What arrives from now on is compared with what was before."""
        self._window = None
        self._earlier.clear()

    def settle(self) -> float:
        """Seconds lost before what arrived since `restart`, for a moment when enough has arrived to judge.

        Below `JUMP` it counts as drift, and 0.0 is returned.
        """
        if self.begin is None or self._window is None:
            return 0.0
        behind = self._earliest - self.begin
        self.restart()
        return behind if behind > JUMP else 0.0

    def anchor(self) -> None:
        """Everything so far has belonged to the beginning: the earliest arrival decides when that was."""
        if self._window is not None:
            self.begin = self._earliest
            self._window = None

    def windowed(self, at: float) -> tuple[float, float]:
        """(seconds lost, seconds drifted) if a window has just ended, else zeros. Nothing is corrected yet."""
        if self.begin is None or self._window is None or at - self._window < WINDOW:
            return 0.0, 0.0
        self._earlier.append(self._earliest)
        self._window = None
        if len(self._earlier) < 2:
            return 0.0, 0.0
        behind = min(self._earlier) - self.begin
        if behind > JUMP:
            return behind, 0.0
        return 0.0, behind

    def shift(self, seconds: float) -> None:
        """Sample 0 now counts as so much later: that much was lost before what comes next, or has drifted."""
        assert self.begin is not None
        self.begin += seconds


def iso(epoch: float) -> str:
    """UTC, ISO 8601 with milliseconds and `Z`."""
    moment = datetime.fromtimestamp(round(epoch, 3), tz=timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_iso(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 time; one without an offset is taken as UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
