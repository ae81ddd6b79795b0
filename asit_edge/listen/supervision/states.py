"""The states of a source: where it is on its way, and what the world is told of that. Pure."""

from collections.abc import Iterable
from enum import Enum

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.messages.report import State


class Phase(Enum):
    """Where a source is on its way from being wanted to being over."""

    OPENING = "no capture: one is being opened, or will be tried again"
    AWAITING = "a capture is open, nothing has come yet"
    SETTLING = "audio comes, but it is not known yet when it was heard"
    RECEIVING = "audio comes, and goes its way"
    OVER = "nothing more will come"


def reported(
    phase: Phase,
    error: AsitEdgeError | None,
    *,
    begun: bool,
    stalled_after: float | None,
    muted: str,
    silent: bool,
    notes: Iterable[str],
) -> tuple[State, str]:
    """State and detail of a source that is not over.

    `error` is why it could not be opened or broke off, as long as no audio has come since; `begun`: audio came at some
    time; `stalled_after` seconds without audio, if it is stalled; `muted` is the reason, "" for none.
    """
    why = str(error) if error else ""
    troubled = begun or error is not None
    if phase is Phase.OPENING:
        if isinstance(error, WrongUse):
            return "failed", why
        return ("lost", why) if troubled else ("starting", "")
    if stalled_after is not None:
        return "stalled", f"no audio for more than {stalled_after:g} s"
    if phase is Phase.AWAITING:
        return ("recovering", why) if troubled else ("starting", "")
    if muted:
        return "muted", muted
    if silent:
        return "silent_device", "every sample is the same; is it switched off, or muted in the system?"
    return "listening", "; ".join(filter(None, notes))
