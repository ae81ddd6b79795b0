"""Commands without end: so many are obeyed and no more, one answer now and then, and afterwards all is as before."""

from hypothesis import given
from hypothesis import strategies as st

from asit_edge.mqtt.command_rate import A_SECOND, ANSWER_EVERY, AT_ONCE, Admission, CommandRate


def test_what_comes_together_is_obeyed_up_to_a_number() -> None:
    rate = CommandRate()
    assert [rate.admit(5.0) for _ in range(AT_ONCE)] == [Admission.OBEY] * AT_ONCE
    assert rate.admit(5.0) is Admission.ANSWER
    assert [rate.admit(5.0) for _ in range(50)] == [Admission.DROP] * 50
    assert rate.dropped == 51


def test_a_flood_is_answered_rarely_and_does_not_last() -> None:
    rate = CommandRate()
    answers = [rate.admit(number / 1000) for number in range(30_000)]
    assert answers.count(Admission.ANSWER) == 30 // ANSWER_EVERY
    assert AT_ONCE + 29 * A_SECOND <= answers.count(Admission.OBEY) <= AT_ONCE + 30 * A_SECOND
    assert [rate.admit(30 + AT_ONCE / A_SECOND + 1) for _ in range(AT_ONCE)] == [Admission.OBEY] * AT_ONCE


@given(st.lists(st.floats(0, 2), min_size=1, max_size=600))
def test_in_no_time_more_is_obeyed_than_the_rate(pauses: list[float]) -> None:
    rate, now, times = CommandRate(), 0.0, list[float]()
    for pause in pauses:
        now += pause / 50
        if rate.admit(now) is Admission.OBEY:
            times.append(now)
    for number in range(len(times)):
        assert len(times) - number <= AT_ONCE + (times[-1] - times[number]) * A_SECOND + 1
