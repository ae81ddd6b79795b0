"""What a sink is: a function that takes one event, or says that it cannot, now or ever."""

from collections.abc import Callable

from asit_edge.errors import AsitEdgeError


class Unavailable(AsitEdgeError):
    """Not now."""


class Refused(AsitEdgeError):
    """Never."""


Send = Callable[[str], None]
"""Takes the JSON of one event."""

MQTT = "mqtt"
"""The broker's name among the sinks."""

LATE_SECONDS = 10.0
"""A message that waited longer for a connection is marked as replayed."""
