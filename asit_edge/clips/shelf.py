"""All clips of a device: a folder that any command, and the page, may look into while a listener writes.

No name from outside reaches the file system unless it is exactly a clip's; links are not followed; what is not called
like a clip is neither shown nor removed.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from asit_edge.clips.encoding import comment_of
from asit_edge.clips.names import DAY, FILE, ID_DIGITS, SOURCE, Clip, read_name
from asit_edge.host.files import put_whole

DAY_SECONDS = 86_400.0

SPARE = 0.02
"""Of the bytes that all clips may have: so much more is removed than has to be, so that not every clip has to look."""

_EVENT = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}((-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})?")
_LEFT_OVER = re.compile(rf"\.{FILE}\.[A-Za-z0-9_]{{1,32}}")


class Bounds(NamedTuple):
    """How much is kept: days, bytes in all, bytes that stay free on the disk. The oldest clips go first."""

    days: float | None
    size: float
    free: float


class NoRoom(OSError):
    """There is less room than a clip needs, and no older clips whose going would make it."""


class ClipShelf:
    """The clips in a folder, which need not be there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._size: float | None = None
        """Bytes of all clips, as far as this shelf knows: others may have removed some."""

    def clips(self, event: str = "") -> list[Clip]:
        """All, or those whose event's id begins so; the newest first."""
        found = []
        for name, entry in self._files():
            clip = read_name(name) if event in name else None
            if clip is not None and clip.event.startswith(event):
                with contextlib.suppress(OSError):  # removed meanwhile
                    found.append(clip._replace(size=entry.stat(follow_symlinks=False).st_size))
        return sorted(found, key=lambda clip: (clip.begin, clip.name), reverse=True)

    def names(self) -> Iterator[str]:
        """Their paths below the folder, with `/`, the newest first."""
        return (clip.name for clip in self.clips())

    def at(self, name: str) -> Path | None:
        """The file of a clip by its path below the folder; None for any other name, and where there is none."""
        if read_name(name) is None:
            return None
        file, above = self.folder / name, self.folder
        for part in Path(name).parts[:-1]:
            above = above / part
            if above.is_symlink():
                return None
        return file if file.is_file() and not file.is_symlink() else None

    def find(self, event_id: str) -> Path | None:
        """The clip of an event, by its id; None if there is none."""
        return next((self.folder / clip.name for clip in self.of(event_id)), None)

    def of(self, event_id: str) -> list[Clip]:
        """The clips of an event, by its id or the first eight digits of that, which several events may have."""
        if _EVENT.fullmatch(event_id) is None:
            return []
        alike = self.clips(event_id[:ID_DIGITS])
        if len(event_id) == ID_DIGITS:
            return alike
        return [clip for clip in alike if comment_of(str(self.folder / clip.name)) == event_id]

    def put(self, name: str, content: bytes, bounds: Bounds) -> list[Clip]:
        """Writes a clip, whole or not at all; what had to go for it is returned. Raises OSError if there is no room."""
        if read_name(name) is None:
            raise ValueError(f"{name!r} is no clip's name")
        if len(content) > bounds.size:
            raise NoRoom
        gone = []
        full = self._size is None or self._size + len(content) > bounds.size
        if full or not self._fits(content, bounds):
            gone = self.prune(Bounds(None, (1 - SPARE) * bounds.size, bounds.free), room=len(content))
        if not self._fits(content, bounds):
            raise NoRoom
        put_whole(self.folder / name, content)
        self._size = (self._size or 0.0) + len(content)
        return gone

    def remove(self, clip: Clip) -> bool:
        """Removes it, and folders that are empty then. False if it was not there. Raises OSError."""
        file = self.at(clip.name)
        if file is None:
            return False
        file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            file.parent.rmdir()
            file.parent.parent.rmdir()
        return True

    def prune(self, bounds: Bounds, now: float | None = None, room: int = 0) -> list[Clip]:
        """Removes the oldest clips until all bounds are kept, with `room` bytes to spare; says which.

        `now` is in seconds since the epoch; without it, none is too old. Raises OSError where one cannot be removed.
        """
        clips = self.clips()
        size, free = sum(clip.size for clip in clips), self._free()
        # What others have filled, the going of clips cannot make good.
        least = bounds.free + room if free + size >= bounds.free + room else 0.0
        left = size + room
        gone: list[Clip] = []
        for clip in reversed(clips):
            old = now is not None and bounds.days is not None and now - clip.begin > bounds.days * DAY_SECONDS
            if not (old or left > bounds.size or free < least):
                break
            if self.remove(clip):
                gone.append(clip)
                free = self._free()
            left -= clip.size
        self._size = left - room
        return gone

    def sweep(self) -> int:
        """Removes what a run that was killed has not finished writing; says how many files that were."""
        swept = 0
        for name, _ in self._files():
            if _LEFT_OVER.fullmatch(name.rpartition("/")[2]):
                with contextlib.suppress(OSError):
                    (self.folder / name).unlink()
                    swept += 1
        return swept

    def _files(self) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
        """Files in folders that are a day's and a source's, by their path below ours."""
        for day in _entries(self.folder, DAY):
            for source in _entries(day, SOURCE):
                for entry in _entries(source, None):
                    yield f"{day.name}/{source.name}/{entry.name}", entry

    def _fits(self, content: bytes, bounds: Bounds) -> bool:
        """There is as much room on the disk as is to stay free, and as the content takes."""
        return not bounds.free or self._free() >= bounds.free + len(content)

    def _free(self) -> float:
        """Bytes on the disk on which the folder is, or will be."""
        there = next(one for one in (self.folder, *self.folder.absolute().parents) if one.is_dir())
        return float(shutil.disk_usage(there).free)


def _entries(folder: "Path | os.DirEntry[str]", pattern: str | None) -> list["os.DirEntry[str]"]:
    """Folders in it whose name is like that, or (None) its files; nothing where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            if pattern is None:
                return [one for one in entries if one.is_file(follow_symlinks=False)]
            return [one for one in entries if re.fullmatch(pattern, one.name) and one.is_dir(follow_symlinks=False)]
    except OSError:
        return []
