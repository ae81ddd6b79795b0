"""Checks, one after the other: each in a thread of its own that may hang, and none can end the examination."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient
from asit_edge.errors import AsitEdgeError, one_line

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Check:
    """A look at one part of the device; it may take `seconds`."""

    name: str
    seconds: float
    look: Callable[[Patient], Iterator[Finding]]


def examine(
    patient: Patient, checks: Sequence[Check], begins: Callable[[str], object] = lambda name: None
) -> Iterator[Finding]:
    """What each check finds, as it is found. `begins` is told which one is next."""
    for check in checks:
        begins(check.name)
        yield from _findings(patient, check)


def _findings(patient: Patient, check: Check) -> Iterator[Finding]:
    found: queue.SimpleQueue[Finding | None] = queue.SimpleQueue()
    threading.Thread(target=_look, args=(patient, check, found.put), name=f"check-{check.name}", daemon=True).start()
    deadline = time.monotonic() + check.seconds
    while True:
        try:
            finding = found.get(timeout=max(deadline - time.monotonic(), 0.0))
        except queue.Empty:
            yield Finding(
                check.name,
                "wrong",
                f"did not come to an end within {check.seconds:g} s",
                "what it looks at hangs, and may hold up a listener, too",
            )
            return
        if finding is None:
            return
        yield finding


def _look(patient: Patient, check: Check, put: Callable[[Finding | None], None]) -> None:
    try:
        for finding in check.look(patient):
            put(finding)
    except AsitEdgeError as error:
        put(Finding(check.name, "wrong", str(error)))
    except Exception as error:  # a defect of ours, or of a library below: the other checks go on
        log.debug("%s", check.name, exc_info=True)
        put(Finding(check.name, "wrong", f"could not be looked at ({type(error).__name__}: {one_line(error)})"))
    put(None)
