"""Where audio comes from. A source writes into its ring from a thread of its own and says how it ended."""

from typing import Protocol

from asit_edge.ring import Ring


class Source(Protocol):
    """Audio at the source's own rate and with the channels that `ring` has; `start` returns at once."""

    name: str
    rate: int
    ring: Ring

    def start(self) -> None:
        """Begins to write into the ring. Raises AsitEdgeError if the device or file cannot be opened."""
        ...

    def stop(self) -> None:
        """Closes the device or file. May be called twice."""
        ...

    @property
    def started_at(self) -> float | None:
        """When sample 0 was heard, in seconds since the epoch; None before the first block."""
        ...

    @property
    def ended(self) -> str | None:
        """None while audio may come; "" when it is complete; otherwise why it broke off."""
        ...
