"""How long inputs are tried: a fixed few in `make test`, always the same; with `FUZZ_MINUTES=10`, new ones for so long.

A target is a function that takes one input and fails where something is wrong. Nothing may take longer than `PATIENCE`.
"""

import faulthandler
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

MINUTES = float(os.environ.get("FUZZ_MINUTES", "0"))
PATIENCE = 20.0
"""Seconds for one input; ten to a hundred times what the slowest takes."""
CORPUS = Path(__file__).parent / "corpus"
"""A folder for each target: what to begin with, and every input that once went wrong."""

Input = TypeVar("Input")


def corpus(target: str) -> list[Path]:
    return sorted(path for path in (CORPUS / target).iterdir() if not path.name.startswith("."))


@contextmanager
def bounded(seconds: float = PATIENCE) -> Iterator[None]:
    """Fails where Python code takes longer. What hangs outside of it ends the process, which shows where."""

    def hangs(_signal: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"takes longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(2 * seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fuzz(target: Callable[[Input], None], inputs: SearchStrategy[Input], few: int) -> None:
    """Tries `few` inputs, or for `FUZZ_MINUTES` others than any time before."""

    def one(value: Input) -> None:
        with bounded():
            target(value)

    phases = [Phase.generate, Phase.shrink]
    quiet = settings(
        max_examples=1_000 if MINUTES else few,
        derandomize=not MINUTES,
        database=None,
        deadline=None,
        phases=phases if MINUTES else [*phases, Phase.explicit],
        suppress_health_check=list(HealthCheck),
    )
    until = time.monotonic() + 60 * MINUTES
    while True:
        run = quiet(given(inputs)(one))
        if MINUTES:
            run = seed(random.SystemRandom().getrandbits(64))(run)
        run()
        if time.monotonic() >= until:
            return
