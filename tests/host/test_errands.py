"""Errands: in order, in the background, bounded, and what is dropped is said."""

import threading
import time

import pytest

from asit_edge.host.errands import Errands


def test_they_are_done_in_order_and_nobody_waits() -> None:
    hang, done = threading.Event(), list[int]()
    errands = Errands("test", 100, "slow")
    errands.do(lambda: hang.wait(10))
    began = time.monotonic()
    for number in range(50):
        errands.do(lambda number=number: done.append(number))  # type: ignore[misc]
    assert time.monotonic() - began < 5, "it hangs for 10 s"
    assert done == []
    hang.set()
    assert errands.stop(5)
    assert done == list(range(50))
    assert errands.dropped == 0


def test_what_does_not_fit_is_dropped_counted_and_said_once_until_there_is_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hang = threading.Event()
    errands = Errands("letters", 3, "the post is slow")
    errands.do(lambda: hang.wait(10))
    while errands._waiting:
        time.sleep(0.001)
    taken = [errands.do(lambda: None) for _ in range(10)]
    assert taken == [True] * 3 + [False] * 7
    assert caplog.text.count("letters: the post is slow; 3 wait, what more comes is dropped there") == 1
    began = time.monotonic()
    assert not errands.stop(0.1)
    assert time.monotonic() - began < 5
    assert errands.dropped == 7 + 4
    assert "letters: the post is slow; 11 dropped" in caplog.text
    hang.set()


def test_one_that_fails_keeps_no_other_from_being_done() -> None:
    done = list[int]()
    errands = Errands("test", 10, "slow")
    errands.do(lambda: 1 / 0)
    errands.do(lambda: done.append(1))
    assert errands.stop(5)
    assert done == [1]
