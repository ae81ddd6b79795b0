"""Live listening: every source under supervision, all of them in one batch, what they find announced.

Under overload, when audio waits because the model cannot keep up, this is given up in this order: first the rate of
decisions, where the model can take in audio without deciding on it (`Skimming`), down to where windows would no longer
overlap; then the oldest audio, as a gap with cause `overload`. Memory stays what it is: audio waits in the rings only.
"""

import logging
from collections.abc import Callable
from typing import TextIO

from asit_edge.assembly import Model, load_model, open_source
from asit_edge.audio.clock import Clock, SystemClock, iso
from asit_edge.audio.level import Loudness
from asit_edge.audio.sources.source import Source
from asit_edge.config.root import Config
from asit_edge.config.sources import FileSource, MicrophoneSource, StdinSource, StreamSource
from asit_edge.deliver.delivery import Delivery
from asit_edge.detect.class_settings import class_settings, label_index
from asit_edge.detect.event_writer import EventWriter
from asit_edge.detect.fusion import Heard, Rooms
from asit_edge.detect.pipeline import Pipeline, decide
from asit_edge.detect.quiet_hours import QuietTimes
from asit_edge.detect.tracker import Change
from asit_edge.errors import AsitEdgeError
from asit_edge.host.systemd import Systemd
from asit_edge.listen.announcer import Announcer
from asit_edge.listen.last_heard import HeardUntil
from asit_edge.listen.supervisor import Attempt, Ear, Missed, Watch
from asit_edge.messages.report import Gap, Level, State, Status

log = logging.getLogger(__name__)

IDLE = 0.02
"""Seconds to rest when no source has anything new."""

DRAIN_SECONDS = 5.0
"""How long the broker gets, when listening ends, to take what is still waiting."""

BEHIND = 2.0
"""Seconds of waiting audio from which on the model is behind, unless it catches up within as many seconds."""

NOTED_EVERY = 10.0
"""Seconds between notes of until when sources were heard; after a crash a gap is told too long by up to this."""

RESTART = 1.0
"""Seconds between two runs from which on they are a gap."""

CALM = 60.0
"""Seconds without waiting audio after which decisions are made more often again."""

LEAST = 8
"""At least one chunk in so many is decided on, and more if windows would not overlap."""


def listen(config: Config, out: TextIO, stopping: Callable[[], bool], rest: Callable[[float], object]) -> None:
    """Listens until `stopping()`, or until every source has ended; writes events to `out`, one JSON object a line.

    `rest` waits so many seconds, less when it is time to stop. Raises AsitEdgeError if nothing can be listened to, a
    source that is not opened again breaks off, or, when sources have come to their end, the broker has not taken every
    message (they stay in the store).
    """
    model = load_model(config, may_build=True)
    rate = model.manifest.front_end.sample_rate
    sources = [open_source(entry, rate) for entry in config.sources]
    delivery = Delivery(config, model.manifest)
    systemd = Systemd()
    heard = HeardUntil(config.store.effective_path.with_name("heard.json"))
    hearing = Hearing(config, model, sources, delivery, out, SystemClock(), heard=heard)
    delivery.start()
    hearing.start()
    systemd.ready()
    try:
        while not hearing.over and not stopping():
            if not hearing.tick():
                rest(IDLE)
            systemd.watch(hearing.progress, hearing.summary)
    finally:
        systemd.stopping()
        hearing.stop()
        remains = delivery.stop(DRAIN_SECONDS)
    if hearing.broken:
        raise AsitEdgeError(hearing.broken)
    if remains.waiting:
        message = f"{remains.waiting} message(s) not delivered yet, kept in {config.store.effective_path}"
        if not stopping():
            raise AsitEdgeError(f"{remains.problem}; {message}" if remains.problem else message)
        log.warning("%s", message)


class Hearing:
    """All sources, the model, and what they have to say; `tick` does what is to be done now."""

    def __init__(
        self,
        config: Config,
        model: Model,
        sources: list[Source],
        announcer: Announcer,
        out: TextIO,
        clock: Clock,
        attempt: Callable[[Source], Attempt] = Attempt,
        heard: HeardUntil | None = None,
    ) -> None:
        """`sources` in the order of `config.sources`; `heard` is what the run before has left.

        Raises WrongUse where settings do not fit the model.
        """
        self._heard = heard
        self._noted_at = clock.steady()
        self._model = model
        self._announcer = announcer
        self._out = out
        self._time = clock
        self._rate = model.manifest.front_end.sample_rate
        self._device = config.device_name
        self._rooms = Rooms(config.events.same_room, config.events.same_within, self._rate)
        self._voices: dict[str, Voice] = {}
        self._behind_since = self._calm_since = clock.steady()
        self._every = 1
        self._looked_at = -1.0
        labels = [label.name for label in model.manifest.labels]
        for position, hours in enumerate(config.events.quiet_hours):
            for name in hours.labels or []:
                label_index(name, f"events.quiet_hours[{position}].labels", model.manifest)
        for position, (source, entry) in enumerate(zip(sources, config.sources, strict=True)):
            where = f"sources[{position}].events"
            pipeline = model.pipeline(self._rate, class_settings(config.events, model.manifest, entry.events, where))
            watch = Watch() if isinstance(entry, FileSource) else _watch(entry)
            ear = Ear(source, watch, pipeline, self._rate, self, clock, attempt)
            quiet = QuietTimes(config.events.quiet_hours, source.name, labels)
            self._voices[source.name] = Voice(ear, quiet, self._time.wall())

    def start(self) -> None:
        """Says that sources are about to be opened; the announcer must be ready."""
        for ear in self.ears:
            self.became(ear, "starting", "")

    @property
    def over(self) -> bool:
        """Every source has come to its end."""
        return all(voice.ear.over for voice in self._voices.values())

    @property
    def broken(self) -> str:
        """Why a source broke off that is not opened again; "" if none did."""
        return next((voice.ear.broken for voice in self._voices.values() if voice.ear.broken), "")

    @property
    def ears(self) -> list[Ear]:
        return [voice.ear for voice in self._voices.values()]

    @property
    def progress(self) -> dict[str, int]:
        """Of every source from which audio comes: a number that grows as long as decisions come too."""
        return {ear.source.name: ear.progress for ear in self.ears if ear.flowing and not ear.over}

    @property
    def summary(self) -> str:
        """One line for whoever asks the service manager."""
        return ", ".join(f"{voice.ear.source.name}: {voice.ear.state}" for voice in self._voices.values())

    def tick(self) -> bool:
        """False if there was nothing to do."""
        self._obey()
        self._keep_quiet()
        busy = [voice.ear.tick() for voice in self._voices.values()]
        self._weigh_load()
        self._note_heard()
        waiting = [ear for ear in self.ears if ear.pipeline.due]
        if waiting:
            owners: dict[int, Ear] = {id(ear.pipeline): ear for ear in waiting}
            pipelines: list[Pipeline] = [ear.pipeline for ear in waiting]
            for pipeline, changes in decide(self._model.classifier, pipelines, self._every):
                if changes:
                    self.changed(owners[id(pipeline)], changes)
        return any(busy) or bool(waiting)

    def stop(self) -> None:
        """Closes every source and ends everything that sounds."""
        for ear in self.ears:
            ear.stop()
        self._note_heard(last=True)

    # What ears have to say.

    def changed(self, ear: Ear, changes: list[Change]) -> None:
        told: dict[str, list[Change]] = {}
        assert ear.clock is not None
        for change in changes:
            until = change.decided if change.offset is None else change.offset
            heard = Heard(ear.source.name, change, ear.clock.epoch(change.onset), ear.clock.epoch(until))
            for one in self._rooms.take(heard):
                told.setdefault(one.source, []).append(one.change)
        for source, some in told.items():
            voice = self._voices[source]
            writer, now = self._writer(voice), voice.ear.epoch_now()
            for event in self._announcer.events(source, [writer.write(change, now) for change in some]):
                print(event.to_json(), file=self._out, flush=True)

    def missed(self, ear: Ear, gap: Missed) -> None:
        assert ear.clock is not None
        self._tell_gap(ear, ear.clock.epoch(gap.begin), ear.clock.epoch(gap.end), gap.cause)

    def _tell_gap(self, ear: Ear, begin: float, end: float, cause: str) -> None:
        log.warning("%s: %.3f s were not heard (%s)", ear.source.name, end - begin, cause)
        values = {"from": iso(begin), "to": iso(end), "duration": round(end - begin, 3), "cause": cause}
        self._announcer.gap(
            Gap.model_validate({"schema": 1, "device": self._device, "source": ear.source.name, **values})
        )

    def became(self, ear: Ear, state: State, detail: str) -> None:
        voice = self._voices[ear.source.name]
        if state != voice.state:
            voice.state, voice.since = state, ear.epoch_now()
        self._log_state(ear, state, detail)
        totals = ear.totals
        self._announcer.status(
            Status(
                schema=1,
                device=self._device,
                source=ear.source.name,
                state=state,
                since=iso(voice.since),
                detail=detail,
                heard=round(max(totals.heard, 0.0), 3),
                lost=round(totals.lost, 3),
                gaps=totals.gaps,
            )
        )

    def loud(self, ear: Ear, loudness: Loudness) -> None:
        self._announcer.level(Level(schema=1, device=self._device, source=ear.source.name, **loudness._asdict()))

    def _log_state(self, ear: Ear, state: State, detail: str) -> None:
        name = ear.source.name
        if state == "listening" and not detail and ear.capture is not None:
            log.info("%s: listening at %d Hz, %d channel(s)", name, ear.capture.rate, ear.capture.ring.channels)
        elif state in ("lost", "stalled", "failed", "silent_device") or detail:
            log.warning("%s: %s%s", name, state.replace("_", " "), f" ({detail})" if detail else "")

    def _writer(self, voice: "Voice") -> EventWriter:
        if voice.writer is None:
            clock = voice.ear.clock
            assert clock is not None
            # The anchor may move later; the stream keeps the name that it got at its beginning.
            stream = iso(clock.anchor)
            manifest = self._model.manifest
            voice.writer = EventWriter(self._device, voice.ear.source.name, stream, clock, manifest, replayed=False)
        return voice.writer

    # What others have to say.

    def _obey(self) -> None:
        """Does what was commanded."""
        while not self._announcer.commands.empty():
            command = self._announcer.commands.get()
            voice = self._voices[command.source]
            if command.label is None:
                voice.switched_off = not command.value
            else:
                label = label_index(command.label, f"{command.source}: threshold", self._model.manifest)
                voice.ear.pipeline.tracker.set_threshold(label, float(command.value))
                self._announcer.threshold(command.source, command.label, float(command.value))

    def _keep_quiet(self) -> None:
        """Mutes what is switched off, and what has its quiet hours."""
        now = self._time.steady()
        look = now - self._looked_at >= 1.0
        if look:
            self._looked_at = now
        for voice in self._voices.values():
            ear = voice.ear
            if look:
                epoch = ear.epoch_now()
                hours = voice.quiet.muted(epoch)
                voice.quiet_reason = f"quiet hours until {hours.end}" if hours else ""
                hushed = voice.quiet.hushed(epoch)
                if hushed != voice.hushed:
                    voice.hushed = hushed
                    if changes := ear.pipeline.tracker.hush(hushed):
                        self.changed(ear, changes)
            reason = "switched off" if voice.switched_off else voice.quiet_reason
            if reason != ear.muted and not ear.over:
                ear.mute(reason)

    def _note_heard(self, *, last: bool = False) -> None:
        """Tells what was missed since the run before, and leaves a note for the one after."""
        if self._heard is None:
            return
        voices = [voice for voice in self._voices.values() if voice.ear.clock and voice.ear.source.longest_pause]
        for voice in voices:
            if voice.follows_on:
                continue
            voice.follows_on = True
            before = self._heard.last(voice.ear.source.name)
            assert voice.ear.clock is not None
            if before is not None and voice.ear.clock.anchor - before > RESTART:
                self._tell_gap(voice.ear, before, voice.ear.clock.epoch(0), "restart")
        now = self._time.steady()
        if last or now - self._noted_at >= NOTED_EVERY:
            self._noted_at = now
            self._heard.note(
                {voice.ear.source.name: voice.ear.heard_until for voice in voices if voice.ear.heard_until}
            )

    def _weigh_load(self) -> None:
        """How often to decide: half as often for every while that audio has had to wait, back after a calm time."""
        now = self._time.steady()
        backlog = max((ear.backlog for ear in self.ears), default=0.0)
        if backlog < BEHIND:
            self._behind_since = now
        if backlog > BEHIND / 2:
            self._calm_since = now
        every = self._every
        if now - self._behind_since > BEHIND:
            every, self._behind_since = min(2 * every, LEAST), now
        elif now - self._calm_since > CALM:
            every, self._calm_since = max(every // 2, 1), now
        if every == self._every:
            return
        if every == 1:
            log.info("the model keeps up again")
        elif self._every == 1:
            log.warning("the model cannot keep up: %.1f s of audio wait; deciding less often", backlog)
        self._every = every
        for ear in self.ears:
            ear.burden = "overloaded: deciding less often" if every > 1 else ""


class Voice:
    """A source, and what the loop keeps about it."""

    def __init__(self, ear: Ear, quiet: QuietTimes, since: float) -> None:
        self.ear = ear
        self.quiet = quiet
        self.state: State = "stopped"
        self.since = since
        self.writer: EventWriter | None = None
        self.follows_on = False
        """Whether the time since the run before has been accounted for."""
        self.switched_off = False
        self.quiet_reason = ""
        self.hushed: frozenset[int] = frozenset()


def _watch(entry: MicrophoneSource | StreamSource | StdinSource) -> Watch:
    return Watch(entry.stall_after, entry.reopen_after, entry.silent_after)
