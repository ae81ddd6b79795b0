"""Only the message that is to blame is blamed."""

from hypothesis import given
from hypothesis import strategies as st

from asit_edge.deliver.sinks.suspicion import Suspicion


@given(st.integers(0, 30), st.integers(2, 8), st.integers(1, 20))
def test_the_message_that_breaks_connections_is_found_and_no_other(poison: int, strikes: int, window: int) -> None:
    suspicion = Suspicion(strikes, soon=2.0, singly=20)
    waiting, connections = list(range(31)), 0
    while waiting:
        connections += 1
        assert connections < strikes + 5
        sent: list[int] = []
        while waiting and poison not in sent:
            sent = waiting[: 1 if suspicion.careful else window]
            if poison not in sent:
                for row in sent:
                    suspicion.answered(row)
                waiting = waiting[len(sent) :]
        if poison in sent and suspicion.broke(sent, 0.1) is not None:
            assert sent == [poison]
            waiting.remove(poison)
            poison = -1


def test_a_connection_that_breaks_later_accuses_nobody() -> None:
    suspicion = Suspicion(2, soon=2.0, singly=20)
    for _ in range(10):
        assert suspicion.broke([1], seconds_ago=5.0) is None
        assert suspicion.broke([], seconds_ago=0.0) is None
    assert not suspicion.careful
