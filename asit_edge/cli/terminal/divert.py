"""A descriptor whose writers know of no screen, as C libraries that write to standard error, while there is one."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LAST_WORDS = 0.2
"""Seconds to wait, at the end, for what was written last."""


@contextmanager
def diverted(descriptor: int, write: Callable[[str], object]) -> Iterator[None]:
    """Lines that anything in this process writes there go to `write` meanwhile."""
    before, (reading, writing) = os.dup(descriptor), os.pipe()
    os.dup2(writing, descriptor)
    os.close(writing)

    def hand_on() -> None:
        with os.fdopen(reading, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                write(line if line.endswith("\n") else f"{line}\n")

    thread = threading.Thread(target=hand_on, name="stderr", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.dup2(before, descriptor)
        os.close(before)
        thread.join(LAST_WORDS)
