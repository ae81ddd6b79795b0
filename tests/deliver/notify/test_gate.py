"""Which events are worth a notification: quiet hours, cooldown, age; what is decided holds for all of an event."""

import time
from typing import Any

import pytest

from asit_edge.audio.clock import parse_iso
from asit_edge.config.notifications import NtfySink
from asit_edge.deliver.notify.gate import REMEMBERED, Gate
from asit_edge.messages.event import Event
from tests.store.samples import event


class Now:
    """Both clocks of a gate."""

    def __init__(self, utc: str = "2026-05-01T10:00:00Z") -> None:
        self.wall, self.steady = parse_iso(utc), 1_000.0

    def go(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def gate(self, **more: Any) -> Gate:
        settings = NtfySink.model_validate({"type": "ntfy", "server": "http://h", "topic": "t", **more})
        return Gate(settings, lambda: self.wall, lambda: self.steady)

    def heard(self, number: int = 0, **more: Any) -> Event:
        """Just now."""
        return event(number).model_copy(update={"onset_epoch": self.wall - 0.1, "latency_ms": 100, **more})


def tell(gate: Gate, heard: Event) -> bool:
    if gate.holds_back(heard) is None:
        gate.told(heard)
        return True
    return False


def test_after_one_of_a_label_and_source_no_other_comes_for_a_while() -> None:
    now = Now()
    gate = now.gate(cooldown=60)
    assert tell(gate, now.heard(0))
    now.go(59)
    assert gate.holds_back(now.heard(1)) == "another 'Dog' was told 59 s ago"
    assert tell(gate, now.heard(2, label="Cat"))
    assert tell(gate, now.heard(3, source="yard"))
    now.go(1)
    assert tell(gate, now.heard(4))


def test_what_was_held_back_does_not_prolong_it_and_what_failed_begins_none() -> None:
    now = Now()
    gate = now.gate(cooldown=60)
    failed = now.heard(0)
    assert gate.holds_back(failed) is None
    now.go(5)
    assert gate.holds_back(failed) is None, "tried again"
    gate.told(failed)
    for number in range(1, 6):
        now.go(11)
        assert not tell(gate, now.heard(number))
    now.go(5)
    assert tell(gate, now.heard(6))


def test_the_end_of_an_event_follows_its_beginning() -> None:
    now = Now()
    gate = now.gate(types=["new", "end"], cooldown=60)
    assert tell(gate, now.heard(0))
    now.go(3)
    assert not tell(gate, now.heard(1)), "another one"
    now.go(3)
    assert tell(gate, now.heard(0, type="end"))
    now.go(90)
    assert not tell(gate, now.heard(1, type="end")), "its beginning was not told either"


def test_a_sound_that_reaches_the_score_later_is_told_once_then() -> None:
    now = Now()
    gate = now.gate(min_score=0.8)
    assert tell(gate, now.heard(0, type="update"))
    now.go(5)
    assert gate.holds_back(now.heard(0, type="update")) == "was told already"
    assert gate.holds_back(now.heard(0, type="end")) == "was told already"
    now.go(60)
    assert tell(gate, now.heard(1, type="end")), "a short one reaches it with its last message"


@pytest.mark.parametrize(
    ("utc", "quiet"),
    [
        ("2026-05-01T19:59:59Z", False),
        ("2026-05-01T20:00:00Z", True),
        ("2026-05-01T22:00:00Z", True),
        ("2026-05-02T04:59:59Z", True),
        ("2026-05-02T05:00:00Z", False),
        # The night in which clocks go forward (2026-03-29, 02:00 to 03:00): 07:00 is 05:00 UTC, an hour earlier.
        ("2026-03-28T20:59:59Z", False),
        ("2026-03-28T21:00:00Z", True),
        ("2026-03-29T00:59:59Z", True),
        ("2026-03-29T01:00:00Z", True),
        ("2026-03-29T04:59:59Z", True),
        ("2026-03-29T05:00:00Z", False),
        # The night in which they go back (2026-10-25, 03:00 to 02:00): an hour longer.
        ("2026-10-24T20:00:00Z", True),
        ("2026-10-25T00:30:00Z", True),
        ("2026-10-25T01:30:00Z", True),
        ("2026-10-25T05:59:59Z", True),
        ("2026-10-25T06:00:00Z", False),
    ],
)
def test_quiet_hours_are_those_of_the_clock_on_the_wall(monkeypatch: pytest.MonkeyPatch, utc: str, quiet: bool) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    now = Now(utc)
    gate = now.gate(quiet_hours=[{"begin": "22:00", "end": "07:00"}], priorities={"Smoke alarm": "urgent"})
    assert gate.holds_back(now.heard()) == ("quiet hours until 07:00" if quiet else None)
    assert gate.holds_back(now.heard(1, label="Smoke alarm")) is None


def test_what_began_in_quiet_hours_stays_untold_and_hours_are_for_labels_and_sources(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    now = Now("2026-05-01T06:59:50Z")
    gate = now.gate(
        types=["new", "end"], quiet_hours=[{"begin": "22:00", "end": "07:00", "labels": ["Dog"], "sources": ["mic"]}]
    )
    assert not tell(gate, now.heard(0))
    assert tell(gate, now.heard(1, label="Cat"))
    assert tell(gate, now.heard(2, source="yard"))
    now.go(20)
    assert gate.holds_back(now.heard(0, type="end")) == "the event was held back before"
    assert tell(gate, now.heard(3))


def test_what_could_not_be_told_in_time_is_not_told_later() -> None:
    now = Now()
    gate = now.gate(late_after=600)
    heard = now.heard(0, onset_epoch=now.wall - 30.0, latency_ms=30_000)
    now.go(600)
    assert gate.holds_back(heard) is None, "ten minutes since it was noted, whenever it began"
    now.go(1)
    assert gate.holds_back(heard) == "it is 601 s old"


def test_an_alarm_does_not_become_old_because_the_clock_is_set_right() -> None:
    now = Now("1970-01-01T00:00:10Z")
    gate = now.gate(late_after=600, cooldown=0)
    alarm = now.heard(0)
    assert gate.holds_back(alarm) is None, "but the network is not there yet"
    now.go(20)
    now.wall = parse_iso("2026-05-01T10:00:00Z")
    assert tell(gate, alarm)
    missed = now.heard(1)
    now.go(601)
    assert gate.holds_back(missed) == "it is 601 s old", "what is heard after it ages as ever"
    now.wall += 20 * 3_600
    assert gate.holds_back(missed) == "it is 601 s old"
    now.wall -= 30 * 3_600
    assert tell(gate, now.heard(2)), "a clock that is set back makes nothing old"


def test_of_what_was_decided_only_so_much_is_remembered() -> None:
    now = Now()
    gate = now.gate(cooldown=0)
    for number in range(REMEMBERED + 50):
        assert tell(gate, now.heard(number))
    assert len(gate._decided) == REMEMBERED
