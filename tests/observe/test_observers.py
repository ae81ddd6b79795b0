"""Observers side by side: each sees everything in order, and one that fails is left out."""

import logging
from collections.abc import Sequence

import numpy as np
import pytest

from asit_edge.adjust.adjustments import AS_CONFIGURED
from asit_edge.adjust.effect import report
from asit_edge.messages.event import Event
from asit_edge.messages.report import Adjusted, Level
from asit_edge.observe.observer import Observer
from asit_edge.observe.observers import Observers

LEVEL = Level(schema=1, device="hall", source="mic", dbfs=-40, peak_dbfs=-30, rms=0.01)


class Noting(Observer):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def heard(self, source: str, epoch: float, samples: np.ndarray, rate: int) -> None:
        self.seen.append(f"{source} {epoch} {len(samples)} {rate}")

    def level(self, level: Level) -> None:
        self.seen.append(level.source)

    def events(self, source: str, events: Sequence[Event]) -> None:
        self.seen.append(f"{source} {len(events)}")

    def adjusted(self, adjusted: Adjusted) -> None:
        self.seen.append(f"{adjusted.source} adjusted")


class Failing(Noting):
    def level(self, level: Level) -> None:
        super().level(level)
        raise RuntimeError("no room")


def test_all_see_everything_in_order() -> None:
    one, two = Noting(), Noting()
    both = Observers([one, two])
    both.heard("mic", 1.5, np.zeros(320, np.float32), 16_000)
    both.level(LEVEL)
    both.events("mic", [])
    both.adjusted(report("hall", "mic", AS_CONFIGURED, []))
    assert one.seen == two.seen == ["mic 1.5 320 16000", "mic", "mic 0", "mic adjusted"]


def test_one_that_fails_is_left_out_from_then_on_and_named(caplog: pytest.LogCaptureFixture) -> None:
    before, failing, after = Noting(), Failing(), Noting()
    every = Observers([before, failing, after])
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            every.level(LEVEL)
    assert (len(before.seen), len(failing.seen), len(after.seen)) == (3, 1, 3)
    assert [record.message.partition(":")[0] for record in caplog.records] == ["Failing"]
