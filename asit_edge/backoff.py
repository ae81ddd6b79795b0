"""Pauses between attempts that grow, with jitter, so that many devices do not come back in step."""

import random


class Backoff:
    """From `first` seconds, doubled after every failure, up to `longest`."""

    def __init__(self, first: float, longest: float) -> None:
        self._first, self._longest = first, longest
        self._pause = first

    def pause(self) -> float:
        """Seconds to wait before the next attempt: three quarters of the present pause to all of it."""
        pause, self._pause = self._pause, min(2 * self._pause, self._longest)
        return pause * random.uniform(0.75, 1.0)

    def reset(self) -> None:
        """What was tried works, and has for a while: the next failure is tried again soon."""
        self._pause = self._first
