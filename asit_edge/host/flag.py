"""A flag that a signal may raise at whatever moment it comes.

`threading.Event` is not for that: a handler that calls `set` while the code that it interrupted is inside `wait`, or
inside `set` for a signal before it, waits for ever for the lock that this code holds. A `queue.SimpleQueue` may be put
into at any moment, but its `get` with a timeout that a signal interrupts just as it ends waits for ever, too (CPython
3.11). Here is nothing to wait for but time.
"""

import time

LOOK_EVERY = 0.1
"""Seconds: how late at most it is seen that the flag was raised."""


class Flag:
    """Down at first. Anybody may raise it, also several times."""

    def __init__(self) -> None:
        self._raised = False

    def set(self) -> None:
        self._raised = True

    def is_set(self) -> bool:
        return self._raised

    def wait(self, seconds: float) -> bool:
        """Waits so long, less when it is raised. Is it?"""
        end = time.monotonic() + seconds
        while not self._raised and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_EVERY))
        return self._raised

    def clear(self) -> None:
        """It is down again, for the next time."""
        self._raised = False
