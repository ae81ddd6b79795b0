"""An ordinary day, live or recorded, heard for what each label would raise at which threshold. Nothing is announced."""

import io
import logging
import queue
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from asit_edge.assembly import Model
from asit_edge.audio.clock import Clock
from asit_edge.audio.sources.audio_file import AudioFile
from asit_edge.audio.sources.source import Source
from asit_edge.calibrate.choice import Tally
from asit_edge.calibrate.ladder import Rungs, rungs
from asit_edge.calibrate.sweep import CountingTracker
from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError
from asit_edge.listen.loop import ListeningLoop
from asit_edge.listen.supervision.intake import Intake
from asit_edge.listen.supervision.opening import Attempt
from asit_edge.listen.supervision.supervisor import SourceSupervisor
from asit_edge.messages.event import Event
from asit_edge.messages.report import Adjusted, Gap, Level, Status
from asit_edge.model.bundle import Manifest
from asit_edge.mqtt.commands import Command

log = logging.getLogger(__name__)

SILENT_AFTER = 3.0
"""Seconds of one and the same value from which on a recording does not count as heard."""

IDLE = 0.02
"""Seconds to rest when no source has anything new."""

HOUR = 3600.0

Progress = Callable[[float], None]
"""Is told how much is done, from 0 to 1."""


def count_files(
    files: Sequence[Path],
    config: Config,
    model: Model,
    steps: Sequence[Manifest],
    stopping: Callable[[], bool],
    progress: Progress,
) -> list[Tally]:
    """What was counted in each recording, through the pipeline of `replay`; `steps` is the ladder of thresholds.

    Those that cannot be read, and those with nothing but digital silence, are named in the log and left out. Ends early
    where it is `stopping()`. Raises AsitEdgeError if there is nothing left.
    """
    at = rungs(steps, config.events)
    tallies = []
    for number, file in enumerate(files):
        try:
            tallies.append(_count_file(file, model, at, stopping))
        except AsitEdgeError as error:
            log.error("%s; it is left out", error)
        progress((number + 1) / len(files))
        if stopping():
            break
    if not tallies:
        raise AsitEdgeError("nothing was heard: there is no recording that could be used")
    return tallies


def together(tallies: Sequence[Tally]) -> Tally:
    """Recordings as if they had been heard one after the other by one source."""
    events = np.sum([one.events for one in tallies], axis=0)
    return Tally("recordings", sum(one.hours for one in tallies), events)


def _count_file(path: Path, model: Model, at: Rungs, stopping: Callable[[], bool]) -> Tally:
    audio = AudioFile(path)
    pipeline, tracker = model.pipeline(audio.rate), CountingTracker(at, model.parents)
    pipeline.tracker = tracker
    intake = Intake(SILENT_AFTER)
    intake.begin(audio.rate)
    heard = 0.0
    try:
        for block in audio.mono(audio.rate // 2):
            pipeline.push(block)
            taken = intake.take(block)
            if len(taken.samples):
                heard += len(taken.samples) / audio.rate - taken.flat_seconds
            if stopping():
                break
    finally:
        audio.close()
    pipeline.finish()
    if heard <= 0.0:
        raise AsitEdgeError(f"{path}: nothing but digital silence; whatever recorded it was switched off or muted")
    return Tally(str(path), heard / HOUR, tracker.sweep.events)


def count_sources(
    config: Config,
    model: Model,
    steps: Sequence[Manifest],
    sources: list[Source],
    seconds: float,
    clock: Clock,
    stopping: Callable[[], bool],
    rest: Callable[[float], object],
    progress: Progress,
    attempt: Callable[[Source], Attempt] = Attempt,
) -> list[Tally]:
    """What was counted of each configured source, which are supervised as by `listen`, in so many seconds.

    Ends earlier where it is `stopping()`, or every source has come to its end. Sources from which nothing was heard are
    named in the log and left out. Raises AsitEdgeError if there is nothing left, WrongUse where settings do not fit the
    model.
    """
    loop = ListeningLoop(config, model, sources, Silence(), io.StringIO(), clock, attempt)
    trackers = []
    for index, (supervisor, entry) in enumerate(zip(loop.supervisors, config.sources, strict=True)):
        at = rungs(steps, config.events, entry.events, f"sources[{index}].events")
        supervisor.pipeline.tracker = tracker = CountingTracker(at, model.parents)
        trackers.append(tracker)
    loop.start()
    begun = clock.steady()
    try:
        while not loop.over and not stopping() and clock.steady() - begun < seconds:
            if not loop.tick():
                rest(IDLE)
            progress(min((clock.steady() - begun) / seconds, 1.0))
    finally:
        why_not = [_what_is_wrong(one) for one in loop.supervisors]
        loop.stop()
    if loop.broken:
        log.warning("%s; what was heard before counts", loop.broken)
    tallies = []
    for supervisor, tracker, why in zip(loop.supervisors, trackers, why_not, strict=True):
        name, heard = supervisor.source.name, supervisor.account.totals.heard
        if round(heard, 3) > 0:
            tallies.append(Tally(name, heard / HOUR, tracker.sweep.events))
        else:
            log.warning("%s: nothing was heard of it (%s); it is left out", name, why)
    if not tallies:
        raise AsitEdgeError(f"nothing was heard of {', '.join(one.name for one in sources)}")
    return tallies


def _what_is_wrong(supervisor: SourceSupervisor) -> str:
    if supervisor.account.intake.silent:
        return "its device is silent: every sample is the same; is it switched off, or muted?"
    return f"{supervisor.state}, {supervisor.detail}" if supervisor.detail else supervisor.state


class Silence:
    """An announcer that announces nothing, and hears no commands."""

    def __init__(self) -> None:
        self.commands: queue.SimpleQueue[Command] = queue.SimpleQueue()

    def events(self, source: str, events: list[Event]) -> list[Event]:
        return []

    def status(self, status: Status) -> None: ...

    def level(self, level: Level) -> None: ...

    def gap(self, gap: Gap) -> None: ...

    def know(self, manifest: Manifest) -> None: ...

    def threshold(self, source: str, label: str, on: float) -> None: ...

    def adjusted(self, adjusted: Adjusted) -> None: ...
