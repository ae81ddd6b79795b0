"""The backlog's rate is never exceeded, new messages go first, and what is late is marked."""

from hypothesis import given
from hypothesis import strategies as st

from asit_edge.deliver.sinks.backlog import SendOrder, TokenBucket
from asit_edge.deliver.sinks.base import LATE_SECONDS


@given(st.floats(1, 5_000), st.lists(st.floats(0, 2), min_size=1, max_size=50))
def test_no_more_than_the_rate_goes_in_any_time(rate: float, pauses: list[float]) -> None:
    now, spent = 0.0, 0
    bucket = TokenBucket(rate, now)
    for pause in pauses:
        now += pause
        allowed = bucket.allowance(now)
        assert allowed >= 0
        bucket.spend(allowed)
        spent += allowed
        assert spent <= rate * now + 1e-6
        assert allowed <= max(rate / 4, 1)


def test_the_rate_is_reached() -> None:
    bucket, spent = TokenBucket(100, 0.0), 0
    for step in range(1, 101):
        allowed = bucket.allowance(step / 20)
        bucket.spend(allowed)
        spent += allowed
    assert spent in (499, 500)


def test_at_the_slowest_rate_a_message_goes_a_second() -> None:
    bucket = TokenBucket(1.0, 0.0)
    assert [bucket.allowance(at) for at in (0.0, 0.5, 1.0, 9.0)] == [0, 0, 1, 1]


def test_a_short_queue_goes_first_and_what_waited_for_long_in_it_is_late() -> None:
    order = SendOrder(newest=12, old=10, waiting=10, rate=10, now=0.0)
    assert (order.boundary, order.live_after) == (0, 0)
    assert order.is_late(5, waited=11.0)
    assert not order.is_late(5, waited=9.0), "a delivery may take so long"
    assert not order.is_late(13, waited=11.0), "it did not wait for the connection"
    assert order.is_late(12, waited=LATE_SECONDS + 0.1)
    assert not order.is_late(12, waited=LATE_SECONDS), "exactly so long it may take"


def test_a_long_queue_is_backlog_and_new_messages_go_before_it() -> None:
    order = SendOrder(newest=120, old=100, waiting=100, rate=20, now=0.0)
    assert (order.boundary, order.live_after, order.backlog_after) == (100, 100, 0)
    assert order.is_late(100, waited=0.0)
    assert not order.is_late(101, waited=60.0), "what is live keeps its order"
    order.backlog_done()
    assert order.boundary == 0
    assert order.live_after == 100, "the backlog is not sent again"


def test_the_backlog_has_its_rate_and_no_more_than_what_is_free() -> None:
    order = SendOrder(newest=100, old=100, waiting=100, rate=20, now=0.0)
    assert order.backlog_room(50, now=0.0) == 0
    assert order.backlog_room(50, now=10.0) == 5
    assert order.backlog_room(3, now=10.0) == 3
    assert order.backlog_room(-2, now=10.0) == -2, "too much is on its way already"
    order.spend(5)
    assert order.backlog_room(50, now=10.0) == 0
    assert order.backlog_room(50, now=10.125) == 2
