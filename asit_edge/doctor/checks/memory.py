"""Memory: what the machine has left for a listener, or for another program beside the one that runs."""

from collections.abc import Iterator
from pathlib import Path

from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient

MEMINFO = Path("/proc/meminfo")

NEEDED = 200 << 20
"""Bytes that a listener takes, with the bundled model."""

LEFT = 64 << 20
"""Bytes without which a machine that listens already is about to end programs."""


def look(patient: Patient) -> Iterator[Finding]:
    memory = sizes()
    if memory is None:
        yield Finding("memory", "ok", "how much is free cannot be told here")
        return
    total, available = memory
    found = f"{available / 1e6:.0f} of {total / 1e6:.0f} MB are available"
    needed = LEFT if patient.listener else NEEDED
    if available < needed:
        means = "the system may end the listener" if patient.listener else "too little for a listener"
        yield Finding("memory", "warning", found, means, "ps aux --sort=-rss | head    # who takes it")
    else:
        yield Finding("memory", "ok", found)


def sizes(file: Path = MEMINFO) -> tuple[int, int] | None:
    """Bytes in all, and bytes that a new program could have; None where the system does not tell."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
        values = {name: int(rest.split()[0]) << 10 for name, _, rest in (line.partition(":") for line in lines) if rest}
        return values["MemTotal"], values["MemAvailable"]
    except (OSError, ValueError, KeyError, IndexError):
        return None
