"""Opening a source: in a thread that may hang without harm, again and again with growing pauses."""

import threading
from collections.abc import Callable

from asit_edge.audio.sources.source import Capture, Source
from asit_edge.backoff import Backoff
from asit_edge.errors import AsitEdgeError, WrongUse, one_line

FIRST_PAUSE = 0.5
"""Seconds before the first attempt to open a source again; doubled up to its longest."""

PATIENCE = 30.0
"""Seconds between attempts where the configuration would have to change first."""


class Attempt:
    """A source being opened in a thread of its own."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._capture: Capture | None = None
        self._error: AsitEdgeError | None = None
        self._abandoned = False
        self._lock = threading.Lock()
        self._done = False
        threading.Thread(target=self._open, name=f"open-{source.name}", daemon=True).start()

    def _open(self) -> None:
        capture = None
        try:
            capture = self._source.open()
        except AsitEdgeError as error:
            self._error = error
        except Exception as error:  # of a library below: the other sources go on, this one is tried again
            self._error = AsitEdgeError(f"source {self._source.name!r}: {type(error).__name__}: {one_line(error)}")
        with self._lock:
            self._capture, self._done = capture, True
            unwanted = capture if self._abandoned else None
        if unwanted:
            unwanted.stop()

    @property
    def done(self) -> bool:
        return self._done

    def result(self) -> Capture:
        """What was opened, once done. Raises what opening it raised."""
        if self._error is not None:
            raise self._error
        assert self._capture is not None
        return self._capture

    def abandon(self) -> None:
        """Nobody wants it any more: if it still comes to be, it is closed."""
        with self._lock:
            self._abandoned = True
            unwanted = self._capture
        if unwanted:
            unwanted.stop()


def close_in_background(capture: Capture) -> None:
    """Closing a device whose driver or server does not answer may take for ever."""
    threading.Thread(target=capture.stop, name="close", daemon=True).start()


class Opening:
    """When a source is opened next, and why the last attempt failed. Times in seconds of the steady clock."""

    def __init__(self, source: Source, now: float, attempt: Callable[[Source], Attempt]) -> None:
        self.error: AsitEdgeError | None = None
        """Why the source cannot be opened, or broke off; None once audio came again."""
        self._source, self._attempt_to = source, attempt
        self._attempt: Attempt | None = None
        self._retry_at = now
        self._backoff = Backoff(FIRST_PAUSE, source.longest_pause or FIRST_PAUSE)

    def step(self, now: float) -> Capture | None:
        """A capture as soon as there is one. Raises AsitEdgeError when an attempt has failed."""
        if self._attempt is None:
            if now < self._retry_at:
                return None
            self._attempt = self._attempt_to(self._source)
        if not self._attempt.done:
            return None
        attempt, self._attempt = self._attempt, None
        return attempt.result()

    def failed(self, error: AsitEdgeError, now: float) -> None:
        """It is tried again after a while."""
        self.error = error
        self._retry_at = now + (PATIENCE if isinstance(error, WrongUse) else self._backoff.pause())

    def works(self) -> None:
        """Audio has come for a while: the next failure is tried again soon."""
        self._backoff.reset()

    def abandon(self) -> None:
        if self._attempt:
            self._attempt.abandon()
