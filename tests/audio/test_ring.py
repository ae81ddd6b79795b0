"""The ring: what was written is read once, in order, or reported as lost; never twice, never silently skipped."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.audio.ring import Ring

ACTIONS = st.lists(st.tuples(st.sampled_from(["write", "read"]), st.integers(0, 40)), max_size=60)


def counted(start: int, count: int, channels: int = 1) -> np.ndarray:
    """Samples that say where they are."""
    return np.repeat(np.arange(start, start + count, dtype=np.float32)[:, None], channels, axis=1)


@given(ACTIONS, st.integers(1, 30), st.integers(1, 2))
def test_every_sample_is_read_once_or_reported_lost(
    actions: list[tuple[str, int]], capacity: int, channels: int
) -> None:
    ring = Ring(capacity, channels)
    written = position = 0
    for action, count in actions:
        if action == "write":
            ring.write(counted(written, count, channels))
            written += count
            continue
        read = ring.read(count)
        assert read.position == position + read.lost
        assert np.array_equal(read.samples, counted(read.position, len(read.samples), channels))
        assert len(read.samples) <= count
        assert read.lost == 0 or written - position > capacity
        position = read.position + len(read.samples)
        assert ring.unread == written - position
    assert ring.written == written


def test_overwritten_samples_are_counted() -> None:
    ring = Ring(10)
    ring.write(counted(0, 25))
    read = ring.read(100)
    assert (read.position, read.lost, len(read.samples)) == (15, 15, 10)


def test_a_writer_in_another_thread_never_corrupts_what_is_read() -> None:
    ring = Ring(64)
    total = 60_000

    def write() -> None:
        position = 0
        while position < total:
            count = min(1 + position % 17, total - position)
            ring.write(counted(position, count))
            position += count

    writer = threading.Thread(target=write)
    writer.start()
    position = lost = 0
    while position < total:
        read = ring.read(1_000)
        lost += read.lost
        assert read.position == position + read.lost
        assert np.array_equal(read.samples, counted(read.position, len(read.samples)))
        position = read.position + len(read.samples)
    writer.join()
    assert ring.written == total
    assert 0 <= lost <= total


@pytest.mark.parametrize(("capacity", "channels"), [(0, 1), (1, 0)])
def test_impossible_sizes_are_refused(capacity: int, channels: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Ring(capacity, channels)
