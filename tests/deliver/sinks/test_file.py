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
