"""What a sink is: a function that takes one event, or says that it cannot, now or ever."""

from collections.abc import Callable

from asit_edge.errors import AsitEdgeError


class Unavailable(AsitEdgeError):
    """Not now."""

    def __init__(self, problem: str, wait: float = 0.0) -> None:
        """`wait`: for so many seconds the sink asks to be left in peace."""
        super().__init__(problem)
        self.wait = wait


class Refused(AsitEdgeError):
    """Never."""


class NotWanted(AsitEdgeError):
    """Nothing is wrong: the event need not be told there, and leaves the queue. Says nothing about the sink."""


Send = Callable[[str], None]
"""Takes the JSON of one event."""

MQTT = "mqtt"
"""The broker's name among the sinks."""

LATE_SECONDS = 10.0
"""A message that waited longer for a connection is marked as replayed."""
