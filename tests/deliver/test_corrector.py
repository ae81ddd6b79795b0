"""Corrections that come over MQTT are about what was heard when they came, not when their turn has come."""

import threading

import pytest

from asit_edge.config.root import Config
from asit_edge.deliver import corrector
from asit_edge.deliver.corrector import MOST_WAITING, Corrector
from asit_edge.messages.report import CommandError
from asit_edge.mqtt.commands import Correction
from tests.integration.mosquitto import wait_for

MISSED = Correction("mic", "missed", label="Dog", ago=90.0)


def answer(words: str) -> CommandError:
    return CommandError(schema=1, device="hall", source="mic", command="missed/dog", payload="90", error=words)


class Slow(Corrector):
    """Corrects nothing, and notes when that would have been missed."""

    def __init__(self) -> None:
        self.refused: list[CommandError] = []
        super().__init__(Config(), self.refused.append)
        self.goes_on = threading.Event()
        self.begun: list[float] = []

    def _amend(self, wanted: Correction, now: float) -> str:
        self.begun.append(now - wanted.ago)
        assert self.goes_on.wait(30)
        return wanted.label


def test_a_sound_that_was_missed_is_looked_for_where_it_was_though_others_take_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wall = [1_000.0]
    monkeypatch.setattr(corrector.time, "time", lambda: wall[0])
    slow = Slow()
    slow.ask(MISSED, answer)
    wait_for(lambda: slow.begun, 10, "the first is at it")
    wall[0] += 1
    slow.ask(MISSED, answer)
    wall[0] += 20
    slow.goes_on.set()
    slow.stop(10)
    assert slow.begun == [910.0, 911.0]
    assert slow.refused == []


def test_more_than_can_be_done_are_answered() -> None:
    slow = Slow()
    slow.ask(MISSED, answer)
    wait_for(lambda: slow.begun, 10, "the first is at it")
    for _ in range(MOST_WAITING + 1):
        slow.ask(MISSED, answer)
    slow.goes_on.set()
    slow.stop(10)
    assert len(slow.begun) == 1 + MOST_WAITING
    assert [one.error for one in slow.refused] == ["too many corrections at once; try again in a minute"]
