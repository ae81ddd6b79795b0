"""SIGTERM to a run: the step is finished and saved, and the processes that decode audio stay alive until then."""

import os
import signal
from multiprocessing.sharedctypes import RawValue
from types import FrameType, TracebackType


class StopRequest:
    """Whether SIGTERM came while this context is entered; on leaving it the signal is what it was before."""

    def __init__(self) -> None:
        self.asked = False
        self._running = RawValue("b", 0)  # seen by the workers; without a lock, as signal handlers read it

    def __enter__(self) -> "StopRequest":
        self._before = signal.signal(signal.SIGTERM, self._ask)
        self._running.value = 1
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._running.value = 0
        signal.signal(signal.SIGTERM, self._before)

    def shield(self, _worker: int) -> None:
        """For a data worker: a SIGTERM to the whole group does not end it while the run goes on."""
        signal.signal(signal.SIGTERM, self._in_worker)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True

    def _in_worker(self, _number: int, _frame: FrameType | None) -> None:
        if not self._running.value:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
