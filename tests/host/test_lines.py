"""Lines whose reader hangs, goes away, or is a full disk."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from asit_edge.host.lines import MOST, Lines
from tests.conftest import require
from tests.integration.mosquitto import wait_for


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Reading and writing end."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def read_all(descriptor: int, end: bytes) -> bytes:
    found = b""
    while not found.endswith(end):
        found += os.read(descriptor, 1 << 16)
    return found


def test_lines_come_whole_and_in_order(pipe: tuple[int, int]) -> None:
    lines = Lines(pipe[1], "stdout")
    for number in range(100):
        print(number, file=lines, flush=True)
    print("the last, in pieces ", end="", file=lines)
    print("é", file=lines)
    assert lines.close(5)
    found = read_all(pipe[0], b"\xc3\xa9\n").decode().splitlines()
    assert found == [*map(str, range(100)), "the last, in pieces é"]


def test_nobody_waits_for_a_reader_that_hangs(pipe: tuple[int, int], caplog: pytest.LogCaptureFixture) -> None:
    lines = Lines(pipe[1], "stdout")
    began = time.monotonic()
    for _ in range(3 * MOST):
        print("x" * 1_000, file=lines)
    assert not lines.close(0.2)
    assert time.monotonic() - began < 2
    written = 3 * MOST - lines.dropped
    assert 0 < written < 2 * MOST
    assert [record.getMessage() for record in caplog.records] == [
        "stdout: nobody reads it any more; what does not fit is dropped there",
        f"stdout: {lines.dropped} line(s) were dropped",
    ]


def test_a_reader_that_goes_on_gets_what_waited(pipe: tuple[int, int]) -> None:
    lines = Lines(pipe[1], "stdout")
    for number in range(500):
        print(f"{number:500}", file=lines)
    time.sleep(0.1)
    assert read_all(pipe[0], b" 499\n").count(b"\n") == 500
    assert lines.close(5)


def test_a_reader_that_has_gone_is_told_once(pipe: tuple[int, int], caplog: pytest.LogCaptureFixture) -> None:
    lines = Lines(pipe[1], "stdout")
    os.close(pipe[0])
    print("x", file=lines)
    wait_for(lambda: lines.dropped, 5, "the write fails")
    with pytest.raises(BrokenPipeError):
        print("x", file=lines)
    print("y", file=lines)
    assert not lines.close(1)
    assert caplog.records == [], "`| head` is nothing wrong"


def test_a_full_device_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    require(Path("/dev/full").exists(), "/dev/full")
    full = os.open("/dev/full", os.O_WRONLY)
    lines = Lines(full, "stdout")
    for _ in range(3):
        print("x", file=lines)
        time.sleep(0.05)
    assert not lines.close(1)
    os.close(full)
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    assert "stdout: cannot be written (No space left on device)" in caplog.text
