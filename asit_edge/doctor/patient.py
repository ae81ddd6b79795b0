"""The device as checks are given it: its configuration, and whether a listener runs with its store."""

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

from asit_edge.config.root import Config
from asit_edge.errors import WrongUse, for_shell
from asit_edge.store.database import lock_file

LOCKS = Path("/proc/locks")

RECENTLY = 30.0
"""Seconds; a listener notes every 10 s until when its sources were heard."""


@dataclass(frozen=True)
class Patient:
    """`file` is the configuration's, None where there is none and defaults apply."""

    config: Config
    file: Path | None = None

    @property
    def store(self) -> Path | None:
        """Where events are kept; None where this user has no place for them."""
        try:
            return self.config.store.effective_path
        except WrongUse:
            return None

    @property
    def listener(self) -> int | None:
        """The number of the process that listens with this store; None if none does, or that cannot be told."""
        return lock_holder(lock_file(self.store)) if self.store else None

    def heard_recently(self, source: str) -> bool:
        """Whether the listener that runs has heard this source within the last half minute."""
        if self.store is None or self.listener is None:
            return False
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, KeyError):
            times = json.loads(self.store.with_name("heard.json").read_text(encoding="utf-8"))
            return abs(time.time() - float(times[source])) < RECENTLY
        return False

    def command(self, words: str) -> str:
        """A command of ours as it is typed, with this configuration."""
        return f"asit-edge {words}" + (f" --config {for_shell(self.file)}" if self.file else "")


def lock_holder(file: Path, locks: Path = LOCKS) -> int | None:
    """The process that has `file` locked for itself, as Linux tells; the lock is not touched."""
    with contextlib.suppress(OSError, ValueError):
        inode = str(file.stat().st_ino)
        for line in locks.read_text(encoding="ascii").splitlines():
            # 1: FLOCK ADVISORY WRITE 1234 08:01:131 0 EOF
            fields = line.split()
            if len(fields) > 5 and fields[1] == "FLOCK" and fields[3] == "WRITE":
                holder, where = int(fields[4]), fields[5]
                if where.rpartition(":")[2] == inode and holder > 0:
                    return holder
    return None
