"""The file: whole lines, turned over when it is large, and waiting for a disk that is away."""

import os
from pathlib import Path

import pytest

from asit_edge.config.delivery import FileSink
from asit_edge.deliver.sinks.base import Unavailable
from asit_edge.deliver.sinks.file import open_file
from tests.deliver.sinks.parts import EVENT


def test_a_file_grows_by_lines_and_is_turned_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    send = open_file(FileSink(type="file", path=path, max_mb=2.5 * len(EVENT) / 1e6))
    for _ in range(5):
        send(EVENT)
    assert path.read_text() == EVENT + "\n"
    assert (tmp_path / "events.jsonl.1").read_text() == 2 * (EVENT + "\n")


def test_a_file_that_cannot_be_written_waits(tmp_path: Path) -> None:
    send = open_file(FileSink(type="file", path=tmp_path / "unmounted" / "events.jsonl"))
    with pytest.raises(Unavailable, match=r"unmounted/events.jsonl: .*No such file"):
        send(EVENT)
    (tmp_path / "unmounted").mkdir()
    send(EVENT)


def test_a_full_device_leaves_no_half_line() -> None:
    if os.path.exists("/dev/full"):
        with pytest.raises(Unavailable, match="No space left"):
            open_file(FileSink(type="file", path=Path("/dev/full")))(EVENT)


def test_a_pipe_that_nobody_reads_or_too_slowly_is_said_and_waits_for_nobody(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    send = open_file(FileSink(type="file", path=pipe))
    with pytest.raises(Unavailable, match="is a pipe, and nobody reads it"):
        send(EVENT)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    sent, problem = 0, ""
    while not problem:
        try:
            send(EVENT)
            sent += 1
        except Unavailable as error:
            problem = str(error)
    assert "does not keep up" in problem
    got = b""
    while len(got) < sent * (len(EVENT.encode()) + 1):
        got += os.read(reader, 1 << 20)
    os.close(reader)
    assert got.decode().splitlines() == [EVENT] * sent, "whole lines only"
