"""Writes clips, keeps them within their bounds, and says what became of each; all of it in threads of its own."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from asit_edge.clips.encoding import encode, possible
from asit_edge.clips.names import clip_name
from asit_edge.clips.shelf import Bounds, ClipShelf, NoRoom
from asit_edge.clips.tape import Cut
from asit_edge.config.clips import Clips
from asit_edge.errors import AsitEdgeError
from asit_edge.host.errands import Errands
from asit_edge.messages.event import Event
from asit_edge.messages.report import ClipReport

log = logging.getLogger(__name__)

MOST_WAITING = 8
"""Clips that wait for a slow disk."""

MOST_REPORTS = 1_000

TIDY_EVERY = 600.0
"""Seconds between looks at the age of clips."""

STEPPED = 60.0
"""Seconds by which the system clock may have moved since it was looked at last, if clips are to be too old by it."""

Reason = Literal["speech", "disk", "late"]

_WHY = {
    "speech": "somebody may have spoken in it or near it",
    "disk": "the disk takes nothing",
    "late": "its sound is not in memory any more",
}


class Kept(NamedTuple):
    """What became of the clip of an event: for how many seconds, or why not."""

    event: Event
    seconds: float
    reason: Reason | None


class Keeper:
    """The clips of one device. No method waits for a disk; each may be called from any thread."""

    def __init__(self, settings: Clips, tell: Callable[[ClipReport], None]) -> None:
        """`tell` may wait for a disk."""
        self.form = possible(settings.format)
        self.problem: str | None = None
        """What is wrong with the disk, in words for the user; None if nothing is."""
        self._settings, self._tell = settings, tell
        self._shelf = ClipShelf(settings.effective_folder)
        self._bounds = Bounds(settings.max_days, settings.max_mb * 1e6, settings.min_free_mb * 1e6)
        self._offset: float | None = None
        self._writing = Errands("clips", MOST_WAITING, "the disk of the clips hangs")
        self._telling = Errands("reports of clips", MOST_REPORTS, "the disk of the event store hangs")
        self._stopping = threading.Event()
        self._tidying = threading.Thread(target=self._tidy_now_and_then, name="old clips", daemon=True)

    def start(self) -> None:
        """Removes what a run before has left unfinished, and from now on what is too old."""
        self._writing.do(self._sweep)
        self._tidying.start()

    def keep(self, event: Event, cut: Cut) -> None:
        """Writes it soon."""
        if not self._writing.do(lambda: self._write(event, cut)):
            self.refuse(event, "disk")

    def refuse(self, event: Event, reason: Reason) -> None:
        """Says soon that there will be none."""
        level = logging.DEBUG if reason == "disk" else logging.INFO  # a disk is said once, as a problem
        log.log(level, "%s: no clip of %s (%s): %s", event.source, event.label, event.id, _WHY[reason])
        self._report(Kept(event, 0.0, reason))

    def tidy(self) -> None:
        """Removes soon what is too old, or too much."""
        self._writing.do(self._tidy)

    def stop(self, seconds: float) -> None:
        """Writes what waits, within so many seconds."""
        deadline = time.monotonic() + seconds
        self._stopping.set()
        self._writing.stop(seconds)
        self._telling.stop(max(deadline - time.monotonic(), 0.2))

    def _report(self, kept: Kept) -> None:
        event, there = kept.event, kept.reason is None
        path = clip_name(event, self.form) if there else None
        report = ClipReport(
            schema=1,
            device=event.device,
            source=event.source,
            event=event.id,
            label=event.label,
            kept=there,
            path=path,
            url=self._settings.address(path) if path and self._settings.base_url else None,
            seconds=round(kept.seconds, 3) if there else None,
            reason=kept.reason or "",
        )
        self._telling.do(lambda: self._tell(report))

    # In the thread that writes.

    def _write(self, event: Event, cut: Cut) -> None:
        tags = {
            "title": event.label,
            "artist": f"{event.device}/{event.source}",
            "date": event.onset,
            "comment": event.id,
        }
        try:
            content = encode(cut, self.form, tags)
            for clip in self._shelf.put(clip_name(event, self.form), content, self._bounds):
                log.debug("clip %s removed: there is room for so many only", clip.name)
        except (OSError, AsitEdgeError) as error:
            self._fail(error)
            self.refuse(event, "disk")
            return
        if self.problem is not None:
            log.info("clips: %s takes them again", self._shelf.folder)
        self.problem = None
        self._report(Kept(event, cut.seconds, None))

    def _fail(self, error: OSError | AsitEdgeError) -> None:
        folder = self._shelf.folder
        if isinstance(error, NoRoom):
            problem = (
                f"clips: {folder} has no room for another one within clips.max_mb ({self._settings.max_mb:g}) and "
                f"clips.min_free_mb ({self._settings.min_free_mb:g}); make room on its disk, or change these"
            )
        elif isinstance(error, OSError):
            problem = f"clips: {folder} cannot be written ({error.strerror})"
        else:
            problem = f"clips: {error}"
        if problem != self.problem:
            log.error("%s; listening goes on, without clips until that is better", problem)
        self.problem = problem

    def _sweep(self) -> None:
        swept = self._shelf.sweep()
        if swept:
            log.warning("clips: %d file(s) removed that a run before had not finished", swept)

    def _tidy_now_and_then(self) -> None:
        self.tidy()
        while not self._stopping.wait(TIDY_EVERY):
            self.tidy()

    def _tidy(self) -> None:
        now = time.time()
        before, self._offset = self._offset, now - time.monotonic()
        believed = before is not None and abs(self._offset - before) < STEPPED
        try:
            gone = self._shelf.prune(self._bounds, now if believed else None)
        except OSError as error:
            self._fail(error)
            return
        if gone:
            log.info("clips: the %d oldest were removed", len(gone))
