"""How often the model decides while it cannot keep up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.listen.load import CALM, LEAST, Load


def weighed(load: Load, backlog: float, since: float, seconds: float) -> float:
    """The same backlog for so long; returns when."""
    for second in range(round(seconds)):
        load.weigh(since + second, backlog)
    return since + seconds


def test_decisions_become_rarer_while_audio_waits_and_come_back_after_a_calm_time() -> None:
    load = Load(0.0)
    now = weighed(load, 0.5, 0.0, 10)
    assert (load.every, load.burden) == (1, "")
    now = weighed(load, 5.0, now, 4)
    assert load.every == 2
    assert "overloaded" in load.burden
    now = weighed(load, 5.0, now, 60)
    assert load.every == LEAST
    now = weighed(load, 1.5, now, 2 * CALM)
    assert load.every == LEAST, "audio that waits a little is no calm"
    weighed(load, 0.0, now, 5 * CALM)
    assert (load.every, load.burden) == (1, "")


def test_a_model_that_cannot_decide_less_often_is_not_said_to(caplog: pytest.LogCaptureFixture) -> None:
    load = Load(0.0, can_decide_less=False)
    now = weighed(load, 5.0, 0.0, 10)
    assert (load.every, load.burden) == (1, "overloaded: audio waits for the model")
    weighed(load, 0.0, now, 2 * CALM)
    assert load.burden == ""
    assert "less often" not in caplog.text
    assert caplog.text.count("the model cannot keep up") == 1


@given(st.lists(st.tuples(st.floats(0.01, 30), st.floats(0, 30)), max_size=60))
def test_it_is_always_a_power_of_two_within_bounds(steps: list[tuple[float, float]]) -> None:
    load, now = Load(0.0), 0.0
    for seconds, backlog in steps:
        now += seconds
        before = load.every
        load.weigh(now, backlog)
        assert load.every in (1, 2, 4, 8)
        assert load.every in (before, 2 * before, before // 2)
