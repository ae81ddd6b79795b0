"""`adjustments.yaml` beside the store: read by a listener, changed by it and by the command line.

Whoever changes it has it locked from reading to writing, so that nobody's change is lost.
"""

import fcntl
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import ValidationError

from asit_edge.adjust.adjustments import NOTHING, Adjustments
from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError
from asit_edge.host.files import hand_over, make_folder, make_private, write_whole
from asit_edge.validation import explain
from asit_edge.yaml_text import Unreadable, read_yaml

log = logging.getLogger(__name__)

NAME = "adjustments.yaml"

MOST = 1 << 22
"""Bytes of the file."""

PATIENCE = 5.0
"""Seconds to wait for another process that changes it."""

Stamp = tuple[int, int, int] | None
"""When it was written, its length and number; None where there is none. What has not changed is not read again."""


class Written(NamedTuple):
    """What the file has now."""

    adjustments: Adjustments
    stamp: Stamp


class AdjustmentsFile:
    """Of one listener."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> Stamp:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def read(self) -> Adjustments:
        """Raises AsitEdgeError if it is damaged or cannot be read."""
        try:
            with self.path.open("rb") as opened:
                content = opened.read(MOST + 1)
            if len(content) > MOST:
                raise AsitEdgeError(f"{self.path}: is larger than {MOST >> 20} MB, which no adjustments are")
            return Adjustments.model_validate(read_yaml(content.decode("utf-8"))[1] or {})
        except FileNotFoundError:
            return NOTHING
        except OSError as error:
            raise AsitEdgeError(f"{self.path}: cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise AsitEdgeError(f"{self.path}: has a character that is not UTF-8") from None
        except Unreadable as error:
            raise AsitEdgeError(error.of(self.path)) from None
        except ValidationError as error:
            raise AsitEdgeError(f"{self.path}: {explain(error, Adjustments)}") from None

    def change(self, change: Callable[[Adjustments], Adjustments], instead: Adjustments = NOTHING) -> Written:
        """What it has afterwards. A damaged file is set aside, and `instead` is what it would have had.

        Raises AsitEdgeError where it cannot be read or written, or another process has it locked for too long.
        """
        with self._locked():
            try:
                before = self.read()
            except AsitEdgeError as error:
                after = change(instead)
                log.warning("%s; it is kept as %s, and begun anew", error, self._begin_anew(after).name)
            else:
                after = change(before)
                if after != before:
                    self._write(after)
            return Written(after, self.stamp())

    def _write(self, adjustments: Adjustments) -> None:
        """Raises AsitEdgeError."""
        content = adjustments.model_dump(mode="json", exclude_defaults=True)
        text = yaml.safe_dump({"schema_version": 1, **content}, sort_keys=False, allow_unicode=True, width=110)
        write_whole(self.path, text.encode("utf-8"))
        hand_over(self.path, self.path.parent)

    def _begin_anew(self, adjustments: Adjustments) -> Path:
        """Where the damaged file is now; it stays in its place where no other can be written. Raises AsitEdgeError."""
        aside = self._set_aside()
        try:
            self._write(adjustments)
        except AsitEdgeError:
            with suppress(OSError):
                aside.rename(self.path)
            raise
        return aside

    def _set_aside(self) -> Path:
        """Where it is now. Raises AsitEdgeError."""
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        while aside.exists():
            aside = aside.with_name(f"{aside.name}-")
        try:
            self.path.rename(aside)
        except OSError as error:
            raise AsitEdgeError(f"{self.path}: is damaged, and cannot be renamed ({error.strerror})") from None
        return aside

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Raises AsitEdgeError."""
        path = self.path.with_name(f"{self.path.name}.lock")
        try:
            make_folder(path.parent)
            make_private(path)
            hand_over(path, path.parent)
            lock = path.open("rb")
        except OSError as error:
            raise AsitEdgeError(f"{path}: cannot be made ({error.strerror})") from None
        with lock:
            latest = time.monotonic() + PATIENCE
            while not _lock(lock.fileno()):
                if time.monotonic() > latest:
                    raise AsitEdgeError(f"{self.path}: another asit-edge has had it locked for {PATIENCE:g} s")
                time.sleep(0.01)
            yield


def _lock(descriptor: int) -> bool:
    """False while another process has it; it is given back when the file is closed, or its process dies."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # a file system without locks is no reason not to adjust
        log.debug("adjustments cannot be locked (%s)", error)
    return True


def adjustments_file(config: Config) -> AdjustmentsFile:
    """Of the listener with this configuration. Raises WrongUse where there is no place for a store."""
    return AdjustmentsFile(config.store.effective_path.with_name(NAME))
