"""One event as one line, for people."""

from asit_edge.messages.event import Event


def describe(event: Event) -> str:
    """Of whichever device and source."""
    mark = "  (told late)" if event.replayed else ""
    return f"{event.device}/{event.source}  {describe_briefly(event)}{mark}"


def describe_briefly(event: Event) -> str:
    """Where it is clear of which source, and whether it is late."""
    span = f"{event.onset} to {event.offset}" if event.offset else event.onset
    clip = f"  clip {event.clip}" if event.clip is not None else ""
    return f"{event.type:<6} {event.label:<30} peak {event.peak:.2f}  {span}{clip}"
