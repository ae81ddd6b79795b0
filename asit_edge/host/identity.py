"""Which device this is, whatever it is called: a random number that a copy of the disk does not keep."""

import hashlib
import json
import logging
import secrets
from pathlib import Path
from typing import NamedTuple

from asit_edge.errors import AsitEdgeError
from asit_edge.host.files import tighten, write_whole

log = logging.getLogger(__name__)

MACHINE = (Path("/proc/device-tree/serial-number"), Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
"""What tells machines apart for every user: a board's own number (not on the card), the installation's."""


class Identity(NamedTuple):
    """`id` lasts as long as the state directory stays on its machine, `run` as long as this process."""

    id: str
    run: str
    last_run: str | None
    """The run before, of this device; None if none is known."""
    copied: bool
    """Whether the state directory comes from another machine, which may still be there."""


def machine() -> str:
    """The same on this machine every time, and no help to find out which it is; "" where nothing is known."""
    known = []
    for file in MACHINE:
        try:
            known.append(file.read_bytes().strip(b"\0\n "))
        except OSError:
            continue
    return hashlib.sha256(b"asit-edge " + b" ".join(known)).hexdigest()[:16] if any(known) else ""


def identity_file(store: Path) -> Path:
    """Where it is noted, beside that event store."""
    return store.with_name(f"{store.name}.identity")


def identify(file: Path) -> Identity:
    """Reads who this device is, and notes this run; a device that is new, or a copy, gets an identity of its own.

    Where the file cannot be written the identity is derived from the machine's.
    """
    here, run, before = machine(), secrets.token_hex(8), dict[str, str]()
    tighten(file)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        before = {name: str(found[name]) for name in ("identity", "machine", "run")}
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, KeyError):
        log.warning("%s: cannot be read; this device gets a new identity", file)
    copied = bool(before and here and before["machine"] and before["machine"] != here)
    if copied:
        log.warning("%s: comes from another machine; this one gets an identity of its own", file)
    own = before["identity"] if before and not copied else secrets.token_hex(8)
    try:
        write_whole(file, json.dumps({"identity": own, "machine": here, "run": run}).encode())
    except AsitEdgeError as error:
        log.warning("%s", error)
        if not before or copied:
            own = hashlib.sha256(f"{here} {file}".encode()).hexdigest()[:16]
    return Identity(own, run, None if copied or not before else before["run"], copied)
