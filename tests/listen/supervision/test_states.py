"""What the world is told of a source's state."""

from typing import Any

import pytest

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.listen.supervision.states import Phase, reported

AWAY, WRONG = AsitEdgeError("unplugged"), WrongUse("no channel 3")


@pytest.mark.parametrize(
    ("phase", "error", "given", "state", "detail"),
    [
        (Phase.OPENING, None, {}, "starting", ""),
        (Phase.OPENING, AWAY, {}, "lost", "unplugged"),
        (Phase.OPENING, WRONG, {"begun": True}, "failed", "no channel 3"),
        (Phase.OPENING, None, {"begun": True}, "lost", ""),
        (Phase.AWAITING, None, {}, "starting", ""),
        (Phase.AWAITING, AWAY, {"begun": True}, "recovering", "unplugged"),
        (Phase.AWAITING, None, {"stalled_after": 3.0}, "stalled", "no audio for more than 3 s"),
        (Phase.SETTLING, None, {}, "listening", ""),
        (Phase.RECEIVING, None, {"notes": ("overloaded", "", "re-anchored")}, "listening", "overloaded; re-anchored"),
        (Phase.RECEIVING, None, {"muted": "switched off", "silent": True}, "muted", "switched off"),
        (
            Phase.RECEIVING,
            None,
            {"stalled_after": 3.0, "muted": "switched off"},
            "stalled",
            "no audio for more than 3 s",
        ),
    ],
)
def test_state_and_detail(
    phase: Phase, error: AsitEdgeError | None, given: dict[str, Any], state: str, detail: str
) -> None:
    facts = {"begun": False, "stalled_after": None, "muted": "", "silent": False, "notes": (), **given}
    assert reported(phase, error, **facts) == (state, detail)


def test_a_device_that_delivers_one_value_says_so() -> None:
    facts: dict[str, Any] = {"begun": True, "stalled_after": None, "muted": "", "silent": True, "notes": ()}
    state, detail = reported(Phase.RECEIVING, None, **facts)
    assert state == "silent_device"
    assert "every sample is the same" in detail
