"""A sound with a beginning and an end, by the number of its class."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """A true event."""

    onset: float
    offset: float
    label: int
