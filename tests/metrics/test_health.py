"""What counts as wrong, in words: sources, the loop, decisions, the store and sinks."""

from typing import Any, get_args

import pytest

from asit_edge.deliver.delivery import Standing
from asit_edge.messages.report import State, Status
from asit_edge.metrics.health import ROUND_SECONDS, STILL_SECONDS, UNANSWERED_SECONDS, Rounds, problems

WELL = Standing({"store": "", "mqtt": ""}, {"mqtt": 0}, 0, 0)


def status(state: Any, detail: str = "") -> Status:
    return Status(schema=1, device="hall", source="mic", state=state, since="2026-05-01T03:00:00.000Z", detail=detail)


def rounds(progress: int = 1, at: float = 100.0) -> Rounds:
    found = Rounds()
    found.beat({"mic": progress}, at)
    return found


@pytest.mark.parametrize("state", get_args(State))
def test_only_listening_and_muted_on_purpose_are_well(state: State) -> None:
    found = problems({"mic": status(state, "why")}, rounds(), WELL, 0.0, 100.0)
    if state in ("listening", "muted"):
        assert found == []
    else:
        [problem] = found
        assert problem.startswith("source mic: ")
        assert problem.endswith(" (why)")


def test_a_source_of_which_nothing_is_known_yet_is_not_well() -> None:
    assert problems({"mic": None}, rounds(), WELL, 0.0, 100.0) == [
        "source mic: is being opened; nothing was heard yet",
    ]


def test_a_loop_that_stands_still_is_told_and_what_depends_on_it_is_not() -> None:
    listening = {"mic": status("listening")}
    assert problems(listening, Rounds(), WELL, 0.0, 100.0) == ["listening has not begun yet"]
    assert problems(listening, rounds(), WELL, 0.0, 100.0 + ROUND_SECONDS) == []
    assert problems(listening, rounds(), WELL, 0.0, 101.0 + STILL_SECONDS) == [
        f"the listening loop has stood still for {1 + STILL_SECONDS:.0f} s"
    ]


def test_audio_without_decisions_is_told_for_each_source() -> None:
    listening = {"mic": status("listening")}
    seen = rounds(at=100.0)
    for second in range(int(STILL_SECONDS) + 2):
        seen.beat({"mic": 1, "yard": second}, 100.0 + second)
    now = 101.0 + STILL_SECONDS
    assert problems(listening, seen, WELL, 0.0, now) == [
        f"source mic: audio comes, but for {1 + STILL_SECONDS:.0f} s nothing was decided"
    ]
    seen.beat({"mic": 2, "yard": 99}, now)
    assert problems(listening, seen, WELL, 0.0, now) == []
    seen.beat({}, now)  # its audio has stopped: the state says so
    assert seen.moved == {}


def test_a_source_whose_audio_comes_again_begins_anew() -> None:
    seen = rounds(progress=7, at=100.0)
    seen.beat({}, 101.0)
    seen.beat({"mic": 7}, 500.0)
    assert seen.moved == {"mic": (7, 500.0)}


def test_store_and_sinks_are_told_or_that_they_do_not_answer() -> None:
    listening = {"mic": status("listening")}
    ill = WELL._replace(problems={"store": "disk full", "mqtt": "", "file": "pipe"})
    assert problems(listening, rounds(), ill, 0.0, 100.0) == ["disk full", "pipe"]
    [problem] = problems(listening, rounds(), ill, UNANSWERED_SECONDS + 1, 100.0)
    assert "has not answered for 31 s" in problem
    assert problems(listening, rounds(), None, 0.0, 100.0) == []
