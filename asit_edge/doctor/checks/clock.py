"""The system clock: events bear its time."""

import ctypes
import datetime
import time
from collections.abc import Iterator

from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient
from asit_edge.errors import AsitEdgeError
from asit_edge.store.reading import opened

EARLIEST = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc).timestamp()
"""Before this software: a clock that says so has begun at some year of its own."""

AHEAD = 60.0
"""Seconds by which an event may be later than now: its clock was corrected meanwhile."""

UNSYNCHRONISED = 5
"""What adjtimex(2) returns where nobody keeps the clock (TIME_ERROR)."""

REMEDY = "sudo timedatectl set-ntp true    # or install chrony; then: timedatectl"


def look(patient: Patient) -> Iterator[Finding]:
    now = time.time()
    state = kernel_state()
    latest = newest_event(patient)
    said = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now)) + " UTC"
    if now < EARLIEST:
        yield Finding("clock", "wrong", f"it is {said}", "every event bears a wrong time", REMEDY)
    elif latest is not None and latest > now + AHEAD:
        yield Finding(
            "clock",
            "wrong",
            f"it is {said}, and the newest event in the store began {latest - now:.0f} s later",
            "the clock was ahead then, or is behind now; events bear its time",
            REMEDY,
        )
    elif state == UNSYNCHRONISED:
        means = "events bear the time of a clock that drifts by seconds a day"
        yield Finding("clock", "warning", f"it is {said}; nothing keeps it (no NTP)", means, REMEDY)
    else:
        kept = "kept by NTP" if state is not None else "whether something keeps it cannot be told here"
        yield Finding("clock", "ok", f"it is {said}; {kept}")


def kernel_state() -> int | None:
    """What the kernel knows of the clock (adjtimex(2)); None where it does not tell."""
    try:
        library = ctypes.CDLL(None)
        buffer = ctypes.create_string_buffer(512)  # a struct timex with modes 0: only asks
        state = int(library.adjtimex(buffer))
    except (OSError, AttributeError):
        return None
    return state if state >= 0 else None


def newest_event(patient: Patient) -> float | None:
    """When the newest event began, seconds since the epoch."""
    if patient.store is None or not patient.store.exists():
        return None
    try:
        with opened(patient.store) as database:
            row = database.execute("SELECT onset_epoch FROM event ORDER BY seq DESC LIMIT 1").fetchone()
            return float(row[0]) if row else None
    except AsitEdgeError:
        return None  # the store has a check of its own
