"""What a command makes of what was adjusted, and what is left of it when it is taken back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.adjust.adjustments import (
    AS_CONFIGURED,
    NOTHING,
    Adjustments,
    Snooze,
    as_configured,
    awake,
    obeyed,
    woken,
)
from asit_edge.mqtt.commands import LONGEST_SNOOZE, Command

NOW = 1_800_000_000.0
WEEK = 7 * 86_400

SOURCES = st.sampled_from(["mic", "yard"])
LABELS = st.sampled_from(["Dog", "Cat"])
SECONDS = st.just(0.0) | st.floats(1, WEEK)
COMMANDS = st.one_of(
    st.builds(Command, SOURCES, st.just("listen"), st.none(), st.booleans()),
    st.builds(Command, SOURCES, st.just("report"), LABELS, st.booleans()),
    st.builds(Command, SOURCES, st.just("threshold"), LABELS, st.none() | st.floats(0.001, 0.999)),
    st.builds(Command, SOURCES, st.just("snooze"), st.none() | LABELS, SECONDS),
)


def after(*commands: Command) -> Adjustments:
    adjustments = NOTHING
    for command in commands:
        adjustments = obeyed(adjustments, command, NOW)
    return adjustments


def test_each_command_does_what_it_says() -> None:
    found = after(
        Command("mic", "threshold", "Dog", 0.7),
        Command("mic", "report", "Cat", False),
        Command("mic", "snooze", "Dog", 60.0),
        Command("yard", "listen", None, False),
        Command("yard", "snooze", None, 30.0),
    )
    mic, yard = found.of("mic"), found.of("yard")
    assert (mic.listen, mic.snooze) == (True, None)
    assert mic.labels["Dog"].threshold == 0.7
    assert mic.labels["Dog"].snooze == Snooze(begin=NOW, until=NOW + 60)
    assert not mic.labels["Cat"].report
    assert (yard.listen, yard.labels) == (False, {})
    assert yard.snooze == Snooze(begin=NOW, until=NOW + 30)
    assert found.of("attic") == AS_CONFIGURED


def test_switching_on_or_off_ends_a_snooze_and_setting_a_threshold_does_not() -> None:
    asleep = (Command("mic", "snooze", None, 60.0), Command("mic", "snooze", "Dog", 60.0))
    assert after(*asleep, Command("mic", "listen", None, True)).of("mic").snooze is None
    assert after(*asleep, Command("mic", "report", "Dog", False)).of("mic").labels["Dog"].snooze is None
    assert after(*asleep, Command("mic", "threshold", "Dog", 0.5)).of("mic").labels["Dog"].snooze is not None


@given(st.lists(COMMANDS, max_size=12))
def test_what_is_taken_back_leaves_nothing_behind(commands: list[Command]) -> None:
    found = after(*commands)
    assert all(source != AS_CONFIGURED for source in found.sources.values())
    back = [
        Command(source, name, label, value)
        for source in ("mic", "yard")
        for name, label, value in (
            ("listen", None, True),
            *(
                (name, label, value)
                for label in ("Dog", "Cat")
                for name, value in (("report", True), ("threshold", None))
            ),
        )
    ]
    assert after(*commands, *back) == NOTHING
    assert as_configured(found, ["mic", "yard"], None) == NOTHING


@given(st.lists(COMMANDS, max_size=12), COMMANDS)
def test_a_command_is_obeyed_once_or_twice_with_the_same_result(commands: list[Command], last: Command) -> None:
    assert after(*commands, last, last) == after(*commands, last)


@given(st.lists(COMMANDS, max_size=12))
def test_a_reset_of_a_label_or_a_source_leaves_the_rest(commands: list[Command]) -> None:
    found = after(*commands)
    without = as_configured(found, ["mic"], ["Dog"])
    assert "Dog" not in without.of("mic").labels
    assert without.of("yard") == found.of("yard")
    assert without.of("mic").snooze == found.of("mic").snooze
    assert without.of("mic").labels.get("Cat") == found.of("mic").labels.get("Cat")
    assert as_configured(found, ["mic"], None).sources == {
        name: one for name, one in found.sources.items() if name == "yard"
    }


@pytest.mark.parametrize(
    "command",
    [
        Command("mic", "threshold", "Dog", 0.0),
        Command("mic", "threshold", "Dog", math.nan),
        Command("mic", "threshold", None, 0.5),
        Command("mic", "report", "Dog", None),
        Command("mic", "report", None, False),
        Command("mic", "listen", "Dog", False),
        Command("mic", "snooze", None, LONGEST_SNOOZE + 1.0),
        Command("mic", "snooze", None, -1.0),
        Command("mic", "snooze", None, math.inf),
        Command("mic", "volume", None, 3.0),
    ],
)
def test_what_cannot_be_is_no_adjustment(command: Command) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - pydantic's words
        obeyed(NOTHING, command, NOW)


def test_a_snooze_that_is_over_takes_only_itself_away() -> None:
    first, second = after(Command("mic", "snooze", "Dog", 60.0)), after(Command("mic", "snooze", "Dog", 90.0))
    snooze = first.of("mic").labels["Dog"].snooze
    assert snooze is not None
    assert woken(first, "mic", "Dog", snooze) == NOTHING
    assert woken(second, "mic", "Dog", snooze) == second, "somebody has snoozed it anew"
    assert awake(first, NOW + 59) == first
    assert awake(first, NOW + 60) == NOTHING


@given(st.floats(1, WEEK), st.floats(-1e9, 1e9))
def test_whatever_the_clock_says_no_more_is_left_than_was_asked_for(seconds: float, jump: float) -> None:
    snooze = after(Command("mic", "snooze", None, seconds)).of("mic").snooze
    assert snooze is not None
    assert 0 <= snooze.left(NOW + jump) <= seconds + 0.001
    assert snooze.left(NOW) == pytest.approx(seconds, abs=0.001)
