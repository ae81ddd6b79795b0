"""Pauses between attempts."""

from hypothesis import given
from hypothesis import strategies as st

from asit_edge.backoff import Backoff


@given(first=st.floats(0.01, 10), longest=st.floats(0.01, 100), failures=st.integers(1, 20))
def test_pauses_double_up_to_the_longest(first: float, longest: float, failures: int) -> None:
    backoff = Backoff(first, longest)
    for failure in range(failures):
        whole = first if failure == 0 else min(first * 2**failure, longest)
        assert 0.75 * whole - 1e-9 <= backoff.pause() <= whole + 1e-9


def test_what_works_begins_anew() -> None:
    backoff = Backoff(1.0, 60.0)
    for _ in range(5):
        backoff.pause()
    backoff.reset()
    assert backoff.pause() <= 1.0
