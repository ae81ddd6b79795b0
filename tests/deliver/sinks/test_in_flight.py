"""What is on its way is known by number until it is answered, or until its connection is gone."""

import pytest

from asit_edge.deliver.sinks.in_flight import InFlight, Lost, Verdict, verdict
from asit_edge.deliver.sinks.retained import Announcement
from asit_edge.store.rows import Outgoing

STATE = Announcement("status", "listening")


def row(number: int) -> Outgoing:
    return Outgoing(number, "mic/event", "{}", 0.0)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (0, Verdict.TAKEN),
        (127, Verdict.TAKEN),
        (144, Verdict.REFUSED),
        (153, Verdict.REFUSED),
        *((near, Verdict.NOT_NOW) for near in (134, 136, 143, 145, 148, 150, 152, 154)),
        (16, Verdict.TAKEN),  # no matching subscribers
        (128, Verdict.NOT_NOW),
        (135, Verdict.REFUSED),
        (149, Verdict.REFUSED),
        (151, Verdict.NOT_NOW),  # quota exceeded
    ],
)
def test_a_reason_code_means_taken_refused_or_not_now(reason: int, expected: Verdict) -> None:
    assert verdict(reason) is expected


def test_an_answer_belongs_to_one_message_and_counts_once() -> None:
    flying = InFlight()
    flying.sent(7, row(1), 0.0)
    flying.sent(8, STATE, 0.0)
    assert len(flying) == 2
    assert flying.answered(7) == row(1)
    assert flying.answered(7) is None
    assert flying.answered(8) == STATE
    assert not flying


def test_a_missing_answer_is_noticed_in_time() -> None:
    flying = InFlight()
    assert not flying.overdue(1e9, 20.0)
    flying.sent(1, row(1), 100.0)
    flying.sent(2, row(2), 115.0)
    assert not flying.overdue(120.0, 20.0)
    assert flying.overdue(120.1, 20.0)
    flying.answered(1)
    assert not flying.overdue(120.1, 20.0)


def test_a_lost_connection_leaves_its_rows_and_when_the_last_was_sent() -> None:
    flying = InFlight()
    flying.sent(1, row(1), 100.0)
    flying.sent(2, row(2), 101.0)
    flying.sent(3, STATE, 109.0)
    assert flying.abandon(110.0) == Lost({1: row(1), 2: row(2)}, 9.0)
    assert not flying
    assert flying.abandon(120.0) == Lost({}, 0.0)
