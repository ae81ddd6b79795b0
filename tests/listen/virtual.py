"""Time that passes when it is told to, and devices that open at once: a listener without threads or waiting."""

from asit_edge.audio.sources.source import Capture, Source
from asit_edge.errors import AsitEdgeError


class VirtualClock:
    """Implements `asit_edge.audio.clock.Clock`."""

    def __init__(self) -> None:
        self._steady = 100.0
        self._offset = 1_800_000_000.0
        self._asleep = 0.0

    def steady(self) -> float:
        return self._steady

    def wall(self) -> float:
        return self._steady + self._offset

    def asleep(self) -> float:
        return self._asleep

    def advance(self, seconds: float) -> None:
        self._steady += seconds

    def step(self, seconds: float) -> None:
        """Somebody sets the system clock."""
        self._offset += seconds

    def sleep(self, seconds: float) -> None:
        """The machine is suspended."""
        self._steady += seconds
        self._asleep += seconds


class Instantly:
    """Stands for `asit_edge.listen.supervision.opening.Attempt`: opens in the caller's thread."""

    done = True

    def __init__(self, source: Source) -> None:
        self._capture: Capture | None = None
        self._error: AsitEdgeError | None = None
        try:
            self._capture = source.open()
        except AsitEdgeError as error:
            self._error = error

    def result(self) -> Capture:
        if self._error is not None:
            raise self._error
        assert self._capture is not None
        return self._capture

    def abandon(self) -> None: ...
