"""The ring: what was written is read once, in order, or reported as lost; never twice, never silently skipped."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.audio.ring import PAUSE, Ring

ACTIONS = st.lists(st.tuples(st.sampled_from(["write", "read", "skip"]), st.integers(0, 40)), max_size=60)


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
            assert ring.last == (written, 0.0)
            continue
        if action == "skip":
            skipped = ring.skip(count)
            assert skipped == min(count, written - position)
            position += skipped
            assert ring.unread == written - position
            continue
        read = ring.read(count)
        assert read.position == position + read.lost
        assert np.array_equal(read.samples, counted(read.position, len(read.samples), channels))
        assert len(read.samples) <= count
        assert read.lost == max(written - position - capacity, 0), "not one more than were overwritten"
        assert len(read.samples) == min(count, written - read.position), "all that is there and was asked for"
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


def test_a_ring_that_has_heard_nothing_says_so() -> None:
    ring = Ring(10, channels=2)
    assert (ring.capacity, ring.channels) == (10, 2)
    assert (ring.written, ring.unread, ring.last, ring.pause) == (0, 0, (0, 0.0), None)
    assert ring.skip(5) == 0
    read = ring.read(5)
    assert (read.position, read.samples.shape, read.lost) == (0, (0, 2), 0)


def test_what_is_written_while_the_reader_copies_is_lost_and_not_read_torn() -> None:
    """The writer has announced 7 samples and not written them: of the 10 that are there, 7 may be torn."""
    ring = Ring(10)
    ring.write(counted(0, 10))
    ring.skip(1)
    ring._writing = 17
    read = ring.read(100)
    assert (read.position, read.lost) == (7, 6)
    assert np.array_equal(read.samples, counted(7, 3))
    ring._writing = 10
    ring.write(counted(10, 2))
    assert ring.read(100).position == 10


def test_a_pause_is_the_last_time_that_nothing_came_for_long() -> None:
    ring = Ring(100)
    ring.write(counted(0, 5), at=50.0)
    assert ring.pause is None, "before the first block, nothing was missing"
    ring.write(counted(5, 5), at=50.0 + PAUSE)
    assert (ring.pause, ring.last) == (None, (10, 50.0 + PAUSE)), "as long as a pause may be"
    ring.write(counted(10, 5), at=53.0)
    assert (ring.pause, ring.last) == ((10, 53.0), (15, 53.0))
    ring.write(counted(15, 5), at=53.5)
    assert ring.pause == (10, 53.0), "it is kept until the next one"
    ring.write(counted(20, 5), at=55.0)
    assert ring.pause == (20, 55.0)
    assert PAUSE == 1.0


@pytest.mark.parametrize(("capacity", "channels"), [(0, 1), (1, 0)])
def test_impossible_sizes_are_refused(capacity: int, channels: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Ring(capacity, channels)
