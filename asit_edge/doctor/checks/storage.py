"""Where this device keeps things: room, permissions, and the event store as it is."""

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient
from asit_edge.errors import AsitEdgeError, WrongUse, for_shell, one_line
from asit_edge.host.directories import state_directory
from asit_edge.store.reading import opened

NO_ROOM, LITTLE_ROOM = 20 << 20, 500 << 20
"""Free bytes below which events are lost soon, and below which somebody should look."""

LOOK_SECONDS = 20.0
"""How long a large store is read at most to see whether it is whole."""

OLD_SECONDS = 300.0
"""After so long a message that waits for its sink is late."""


def disk(patient: Patient) -> Iterator[Finding]:
    """The folder of the event store, and that of what was taught and calibrated."""
    folders = [patient.config.store.effective_path.parent]  # WrongUse where there is no place for it
    try:
        folders.append(state_directory())
    except WrongUse as error:
        yield Finding("disk", "warning", str(error), "nothing can be taught or calibrated")
    for folder in dict.fromkeys(folders):
        yield folder_finding("disk", folder, "events are kept in memory only, and lost when the listener ends")


def folder_finding(check: str, folder: Path, unkept: str) -> Finding:
    """Whether something can be kept in a folder, which need not be there yet; `unkept` is what follows if it cannot."""
    there = next(one for one in (folder, *folder.parents) if _exists(one))
    if not there.is_dir():
        return Finding(check, "wrong", f"{there}: is no folder", unkept, "name another place in config.yaml")
    if (problem := _unwritable(there)) is not None:
        return Finding(
            check,
            "wrong",
            f"{folder}: cannot be written by this user ({problem})",
            unkept,
            f"ls -ld {for_shell(there)}    # whose is it? run as that user (sudo -u USER), or change its owner",
        )
    free = shutil.disk_usage(there).free
    room = f"{folder}: can be written, {free / 1e9:.1f} GB are free"
    if free < NO_ROOM:
        return Finding(check, "wrong", room, unkept, f"df -h {for_shell(there)}    # make room")
    if free < LITTLE_ROOM:
        return Finding(check, "warning", room, "little room is left", f"df -h {for_shell(there)}    # make room")
    return Finding(check, "ok", room)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder above it may not be looked into
        return False


def _unwritable(folder: Path) -> str | None:
    """Why nothing can be made there; None if it can. A file is made, and gone at once."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def store(patient: Patient) -> Iterator[Finding]:
    """Whole, and nothing waits in it for long."""
    path = patient.config.store.effective_path
    holder = patient.listener
    who = f"; process {holder} listens with it" if holder else "; no listener runs with it"
    try:
        path.stat()
        path.open("rb").close()
    except FileNotFoundError:
        yield Finding("store", "ok", f"{path}: is made by the first asit-edge listen")
        return
    except PermissionError:
        yield _foreign(path)
        return
    try:
        yield from _inside(patient, path, who)
    except _Damaged as error:
        means = "a listener saves what can be read of it at its next start, and keeps the damaged file"
        remedy = "sudo systemctl restart asit-edge    # or start asit-edge listen again"
        yield Finding("store", "wrong", str(error), means, remedy)


class _Damaged(AsitEdgeError):
    """What is in the file does not fit together."""


def _foreign(path: Path) -> Finding:
    means = "another user's listener keeps its events there; what becomes of them cannot be looked at"
    again = "sudo STATE_DIRECTORY=/var/lib/asit-edge asit-edge doctor    # or as the user as whom listen runs"
    return Finding("store", "warning", f"{path}: cannot be read by this user", means, again)


def _inside(patient: Patient, path: Path, who: str) -> Iterator[Finding]:
    with opened(path) as database:
        deadline = time.monotonic() + LOOK_SECONDS
        database.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
        try:
            whole = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            # Interrupted: whole as far as there was time to look.
            whole = "ok" if time.monotonic() > deadline else one_line(error)
        database.set_progress_handler(None, 0)
        if whole != "ok":
            raise _Damaged(f"{path}: is damaged ({whole})")
        [events] = database.execute("SELECT count(*) FROM event").fetchone()
        waiting = database.execute("SELECT sink, count(*), min(queued) FROM outbox GROUP BY sink").fetchall()
        refused = database.execute("SELECT sink, reason, count(*) FROM dead_letter GROUP BY sink, reason").fetchall()
    size = path.stat().st_size / 1e6
    yield Finding("store", "ok", f"{path}: whole, {events} message(s) about events, {size:.1f} MB{who}")
    for sink, count, since in waiting:
        age = max(time.time() - since, 0.0)
        late = age > OLD_SECONDS
        yield Finding(
            "store",
            "warning" if late else "ok",
            f"{count} message(s) wait for {sink}, the oldest for {_duration(age)}",
            "they are delivered as soon as it takes them" if late else "",
            "" if patient.listener or not late else patient.command("listen"),
        )
    for sink, reason, count in refused:
        yield Finding(
            "store",
            "warning",
            f"{count} message(s) were refused by {sink} for good ({reason})",
            "they are kept and reach nobody",
            patient.command("refused --requeue") + "    # once the reason is gone",
        )


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
