"""Where audio comes from.

A source is what the configuration names: it lasts as long as the listener. A capture is one go at it: an open device, a
running child process, a file. Captures come to an end, sources open the next one. A capture writes into its ring from a
thread of its own and says how it ended; it decides nothing else.
"""

from typing import Protocol

from asit_edge.audio.ring import Ring


class Capture(Protocol):
    """Audio at its own rate in Hz, with the channels that `ring` has, mixed to one by whoever reads."""

    @property
    def rate(self) -> int: ...

    @property
    def ring(self) -> Ring: ...

    def stop(self) -> None:
        """Closes the device, process or file; returns within seconds even where they hang. May be called twice."""
        ...

    @property
    def ended(self) -> str | None:
        """None while audio may come; "" when it is complete; otherwise why it broke off."""
        ...


class Source(Protocol):
    """Opens captures, one at a time."""

    name: str

    @property
    def live(self) -> bool:
        """Time passes whether or not audio comes: what does not arrive was missed."""
        ...

    @property
    def longest_pause(self) -> float | None:
        """Seconds between attempts to open it again, at most; None if it is over when it has ended."""
        ...

    def open(self) -> Capture:
        """Begins to capture; may take its time.

        Raises AsitEdgeError if that is not possible now, WrongUse if the configuration has to change first.
        """
        ...
