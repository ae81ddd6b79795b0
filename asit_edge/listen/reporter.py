"""The one place where what became of sources is announced: fused, put into the contract's words, sent on, logged."""

import logging
from typing import Protocol

from asit_edge.audio.clock import iso
from asit_edge.detect.event_writer import EventWriter
from asit_edge.detect.fusion import Fusion, SourceChange
from asit_edge.detect.tracker import Change
from asit_edge.listen.announcer import Announcer
from asit_edge.listen.supervision.facts import Became, Changed, Fact, Missed
from asit_edge.listen.supervision.supervisor import SourceSupervisor
from asit_edge.messages.report import Gap, Level, State, Status
from asit_edge.model.bundle import Manifest

log = logging.getLogger(__name__)


class Output(Protocol):
    """Takes text and never waits (or is a test's)."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> None: ...


class Reporter:
    """Of all sources of a device."""

    def __init__(self, device: str, manifest: Manifest, fusion: Fusion, announcer: Announcer, out: Output) -> None:
        """Events go to `out` too, one JSON object a line."""
        self._device, self._manifest, self._fusion = device, manifest, fusion
        self._announcer, self._out = announcer, out
        self._supervisors: dict[str, SourceSupervisor] = {}
        self._writers: dict[str, EventWriter] = {}
        self._states: dict[str, tuple[State, float]] = {}

    def know(self, manifest: Manifest) -> None:
        """Labels have come after those that there were, or are not reported any more."""
        self._manifest = manifest
        for writer in self._writers.values():
            writer.know(manifest)
        self._announcer.know(manifest)

    def begin(self, supervisor: SourceSupervisor) -> None:
        """A source is about to be opened; the announcer must be ready."""
        self._supervisors[supervisor.source.name] = supervisor
        self._became(supervisor, Became("starting", ""))

    def forget(self, source: str) -> None:
        """Its supervisor has stopped; if another one of that name begins, it is another stream."""
        for known in (self._supervisors, self._writers, self._states):
            known.pop(source, None)  # type: ignore[attr-defined]

    def report(self, supervisor: SourceSupervisor, facts: list[Fact]) -> None:
        """What became of a source, in order."""
        for fact in facts:
            if isinstance(fact, Changed):
                self._changed(supervisor, fact.changes)
            elif isinstance(fact, Missed):
                self._missed(supervisor, fact)
            elif isinstance(fact, Became):
                self._became(supervisor, fact)
            else:
                level = Level(schema=1, device=self._device, source=supervisor.source.name, **fact._asdict())
                self._announcer.level(level)

    def _changed(self, supervisor: SourceSupervisor, changes: list[Change]) -> None:
        """Events of a source; where several sources hear one room, those of the room."""
        by_source: dict[str, list[Change]] = {}
        assert supervisor.clock is not None
        for change in changes:
            until = change.decided if change.offset is None else change.offset
            onset, end = supervisor.clock.epoch(change.onset), supervisor.clock.epoch(until)
            for one in self._fusion.take(SourceChange(supervisor.source.name, change, onset, end)):
                by_source.setdefault(one.source, []).append(one.change)
        for source, some in by_source.items():
            writer, now = self._writer(source), self._supervisors[source].epoch_now()
            for event in self._announcer.events(source, [writer.write(change, now) for change in some]):
                print(event.to_json(), file=self._out, flush=True)

    def _missed(self, supervisor: SourceSupervisor, missed: Missed) -> None:
        seconds = missed.end - missed.begin
        log.warning("%s: %.3f s were not heard (%s)", supervisor.source.name, seconds, missed.cause)
        values = {"from": iso(missed.begin), "to": iso(missed.end), "duration": round(seconds, 3)}
        self._announcer.gap(
            Gap.model_validate(
                {
                    "schema": 1,
                    "device": self._device,
                    "source": supervisor.source.name,
                    **values,
                    "cause": missed.cause,
                }
            )
        )

    def _became(self, supervisor: SourceSupervisor, became: Became) -> None:
        name = supervisor.source.name
        if name not in self._states or self._states[name][0] != became.state:
            self._states[name] = became.state, supervisor.epoch_now()
        _log(supervisor, became)
        totals = supervisor.account.totals
        self._announcer.status(
            Status(
                schema=1,
                device=self._device,
                source=name,
                state=became.state,
                since=iso(self._states[name][1]),
                detail=became.detail,
                heard=round(max(totals.heard, 0.0), 3),
                lost=round(totals.lost, 3),
                gaps=totals.gaps,
            )
        )

    def _writer(self, source: str) -> EventWriter:
        if source not in self._writers:
            clock = self._supervisors[source].clock
            assert clock is not None
            # The anchor may move later; the stream keeps the name that it got at its beginning.
            stream = iso(clock.anchor)
            self._writers[source] = EventWriter(self._device, source, stream, clock, self._manifest, replayed=False)
        return self._writers[source]


def _log(supervisor: SourceSupervisor, became: Became) -> None:
    name, capture = supervisor.source.name, supervisor.capture
    if became.state == "listening" and not became.detail and capture is not None:
        log.info("%s: listening at %d Hz, %d channel(s)", name, capture.rate, capture.ring.channels)
    elif became.state in ("lost", "stalled", "failed", "silent_device") or became.detail:
        why = f" ({became.detail})" if became.detail else ""
        log.warning("%s: %s%s", name, became.state.replace("_", " "), why)
