"""Live listening: every source under supervision, all of them in one batch, what becomes of them reported.

Under overload, when audio waits because the model cannot keep up, this is given up in this order: first the rate of
decisions (`Load`), where the model can take in audio without deciding on it (`Skimming`), down to where windows would
no longer overlap; then the oldest audio, as a gap with cause `overload`. Memory stays what it is: audio waits in the
rings only.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from asit_edge.adjust.adjustments import SourceAdjustment
from asit_edge.adjust.effect import Effect, effect, report, strangers
from asit_edge.adjust.in_force import InForce
from asit_edge.assembly import Model, fits
from asit_edge.audio.clock import Clock
from asit_edge.audio.sources.source import Source
from asit_edge.config.root import Config
from asit_edge.config.sources import FileSource, SourceSettings
from asit_edge.detect.class_settings import class_settings
from asit_edge.detect.fusion import Fusion
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.detect.pipeline import Pipeline, Skimming, decide
from asit_edge.detect.quiet_hours import QuietTimes
from asit_edge.listen.announcer import Announcer, Notes
from asit_edge.listen.load import Load
from asit_edge.listen.reporter import Output, Reporter
from asit_edge.listen.supervision.facts import Changed, Missed
from asit_edge.listen.supervision.opening import Attempt
from asit_edge.listen.supervision.supervisor import SourceSupervisor, Watch
from asit_edge.observe.observer import Observer
from asit_edge.teach.memory import Memory
from asit_edge.teach.taught import Following

log = logging.getLogger(__name__)

NOTED_EVERY = 10.0
"""Seconds between notes of until when sources were heard; after a crash a gap is told too long by up to this."""

RESTART = 1.0
"""Seconds between two runs from which on they are a gap."""

QUIET_EVERY = 1.0
"""Seconds between looks at the quiet hours."""


@dataclass
class Listened:
    """A source, and what the loop keeps about it."""

    supervisor: SourceSupervisor
    quiet: QuietTimes
    classes: list[ClassSettings | None]
    """How each class becomes events, as configured."""
    heard_until: float | None = None
    """When it was last heard before it was opened anew, in epoch seconds; None: by the run before, if at all."""
    adjustment: SourceAdjustment | None = None
    """What was told of it last; None: all of it is to be told."""
    effect: Effect = field(default_factory=Effect)
    """What adjustments mean for it at the moment."""
    quiet_reason: str = ""
    """Which quiet hours mute the whole source at the moment."""
    muted_labels: frozenset[int] = frozenset()
    follows_on: bool = False
    """Whether the time since the run before has been accounted for."""

    @property
    def muted(self) -> str:
        """Why the source should be muted; "" if it should not."""
        return self.effect.why_muted or self.quiet_reason


class ListeningLoop:
    """All sources, the model, and what becomes of them; `tick` does what is to be done now."""

    def __init__(
        self,
        config: Config,
        model: Model,
        sources: list[Source],
        announcer: Announcer,
        out: Output,
        clock: Clock,
        attempt: Callable[[Source], Attempt] = Attempt,
        last_heard: Notes | None = None,
        memory: Memory | None = None,
        observer: Observer | None = None,
        in_force: InForce | None = None,
    ) -> None:
        """`sources` in the order of `config.sources`; `last_heard` is what the run before has left; `memory` takes what
        is to be remembered of them; `observer` looks on; `in_force` is what is adjusted.

        Raises WrongUse where settings do not fit the model.
        """
        manifest, rate = model.manifest, model.manifest.front_end.sample_rate
        self._model = model
        self._announcer, self._memory, self._observer = announcer, memory, observer or Observer()
        self._time = clock
        self._in_force, self._named = in_force or InForce(), set[str]()
        self._last_heard, self._noted_at = last_heard, clock.steady()
        skims = isinstance(model.classifier, Skimming) and model.classifier.most_skimmed > 0
        self._load = Load(clock.steady(), can_decide_less=skims)
        self._looked_at = -QUIET_EVERY
        fusion = Fusion(config.events.same_room, config.events.same_within, rate)
        self._reporter = Reporter(config.device_name, manifest, fusion, announcer, out)
        self._sources: dict[str, Listened] = {}
        self._config = config
        fits(config, manifest)
        self._attempt = attempt
        for position, source in enumerate(sources):
            self._sources[source.name] = self._listened(position, source)

    def _listened(self, position: int, source: Source, before: Listened | None = None) -> Listened:
        """The source in that place of the configuration, and what it was before, if it was."""
        rate, classes = self._model.manifest.front_end.sample_rate, self._settings(position)
        pipeline, watch = self._model.pipeline(rate, classes), _watch(self._config.sources[position])
        supervisor = SourceSupervisor(source, watch, pipeline, rate, self._time, self._attempt)
        supervisor.account.observer = self._observer
        heard_until = before.supervisor.account.heard_until if before else None
        return Listened(supervisor, self._quiet_times(source.name), classes, heard_until)

    def _settings(self, position: int) -> list[ClassSettings | None]:
        """How each class becomes events of the source in that place of the configuration."""
        where, entry = f"sources[{position}].events", self._config.sources[position]
        return class_settings(self._config.events, self._model.manifest, entry.events, where)

    def _quiet_times(self, source: str) -> QuietTimes:
        return QuietTimes(self._config.events.quiet_hours, source, self._labels)

    @property
    def _labels(self) -> list[str]:
        return [label.name for label in self._model.manifest.labels]

    def start(self) -> None:
        """Says that sources are about to be opened; the announcer must be ready."""
        for supervisor in self.supervisors:
            self._reporter.begin(supervisor)

    @property
    def supervisors(self) -> list[SourceSupervisor]:
        return [source.supervisor for source in self._sources.values()]

    @property
    def over(self) -> bool:
        """Every source has come to its end."""
        return all(supervisor.over for supervisor in self.supervisors)

    @property
    def broken(self) -> str:
        """Why a source broke off that is not opened again; "" if none did."""
        return next((supervisor.broken for supervisor in self.supervisors if supervisor.broken), "")

    @property
    def progress(self) -> dict[str, int]:
        """Of every source from which audio comes: a number that grows as long as decisions come too."""
        return {one.source.name: one.progress for one in self.supervisors if one.flowing and not one.over}

    @property
    def summary(self) -> str:
        """One line for whoever asks the service manager."""
        return ", ".join(f"{supervisor.source.name}: {supervisor.state}" for supervisor in self.supervisors)

    def tick(self) -> bool:
        """One round; False if there was nothing to do."""
        self._learn()  # 0. sounds that were taught, renamed or removed meanwhile
        self._obey()  # 1. commands, and what the command line has adjusted
        self._keep_quiet()  # 2. quiet hours, and what is switched off or snoozed
        busy = False
        for supervisor in self.supervisors:  # 3. from each source's ring through its pipeline's front end
            tick = supervisor.tick()
            self._reporter.report(supervisor, tick.facts)
            busy |= tick.busy
        self._weigh_load()  # 4. how often the model decides
        self._note_heard()  # 5. until when sources were heard, for the run after this one
        return self._decide() or busy  # 6. classifier and tracker, all sources in one batch

    def stop(self) -> None:
        """Closes every source and ends every event."""
        for supervisor in self.supervisors:
            self._reporter.report(supervisor, supervisor.stop())
        self._note_heard(last=True)

    def _learn(self) -> None:
        if self._model.vocabulary is not None and self._model.vocabulary.take():
            self._know()

    def reconfigure(
        self,
        config: Config,
        opened: Mapping[str, Source] | None = None,
        between: Callable[[], object] = lambda: None,
    ) -> None:
        """Another configuration is in force: its `events`, and its sources, of which `opened` are new or not as before;
        the others are not touched. `between` is called once all that was before is announced. Raises WrongUse.
        """
        fits(config, self._model.manifest)
        fresh = opened or {}
        kept = {name: one for name, one in self._sources.items() if name in config.source_names and name not in fresh}
        gone = {name: one for name, one in self._sources.items() if name not in kept}
        for name, source in gone.items():
            self._reporter.report(source.supervisor, source.supervisor.stop())
            self._reporter.forget(name)
        between()
        self._config = config
        self._observer.configured(config)
        self._sources = {
            name: kept.get(name) or self._listened(position, fresh[name], gone.get(name))
            for position, name in enumerate(config.source_names)
        }
        self._know(anew=True)
        for name in fresh:
            self._reporter.begin(self._sources[name].supervisor)

    def _know(self, *, anew: bool = False) -> None:
        """Other labels than before, or with `anew` other settings."""
        self._reporter.know(self._model.manifest)
        for position, source in enumerate(self._sources.values()):
            source.classes = self._settings(position)
            changes = source.supervisor.pipeline.tracker.know(source.classes, anew=anew)
            source.quiet = self._quiet_times(source.supervisor.source.name)
            source.adjustment = None  # what is new may have been adjusted before
            if changes:
                self._reporter.report(source.supervisor, [Changed(changes)])
        self._adjust()

    def _obey(self) -> None:
        now = self._time.wall()
        while not self._announcer.commands.empty():
            self._in_force.obey(self._announcer.commands.get(), now)
        if self._in_force.tend(self._time.steady(), now):
            self._adjust()

    def _adjust(self) -> None:
        """Something is adjusted otherwise than before, or there is something else to be adjusted."""
        adjustments, labels = self._in_force.adjustments, self._labels
        for stranger in set(strangers(adjustments, list(self._sources), labels)) - self._named:
            self._named.add(stranger)
            log.warning("adjustments: nothing comes of %s; asit-edge set reset removes it", stranger)
        for name, source in self._sources.items():
            adjustment = adjustments.of(name)
            if adjustment == source.adjustment:
                continue
            before, again = source.effect, source.adjustment is None
            source.adjustment = adjustment
            source.effect = effect(adjustment, labels, source.classes, self._time.wall())
            for label, settings in source.effect.moved(before, source.classes, again):
                source.supervisor.pipeline.tracker.set_thresholds(label, settings.on, settings.off)
                self._announcer.threshold(name, labels[label], settings.on)
            self._announcer.adjusted(report(self._config.device_name, name, adjustment, labels))
        self._looked_at = -QUIET_EVERY  # at what is muted now, at once

    def _keep_quiet(self) -> None:
        now = self._time.steady()
        look = now - self._looked_at >= QUIET_EVERY
        if look:
            self._looked_at = now
        for source in self._sources.values():
            supervisor = source.supervisor
            if look:
                epoch = supervisor.epoch_now()
                hours = source.quiet.muting(epoch)
                source.quiet_reason = f"quiet hours until {hours.end}" if hours else ""
                muted = source.quiet.muted_labels(epoch) | source.effect.muted
                if muted != source.muted_labels:
                    source.muted_labels = muted
                    if changes := supervisor.pipeline.tracker.mute(muted):
                        self._reporter.report(supervisor, [Changed(changes)])
            if source.muted != supervisor.muted and not supervisor.over:
                self._reporter.report(supervisor, supervisor.mute(source.muted))

    def _weigh_load(self) -> None:
        self._load.weigh(self._time.steady(), max((one.backlog for one in self.supervisors), default=0.0))
        for supervisor in self.supervisors:
            supervisor.burden = self._load.burden

    def _note_heard(self, *, last: bool = False) -> None:
        """Reports what was missed since the run before, and leaves a note for the one after."""
        if self._last_heard is None:
            return
        begun = [one for one in self._sources.values() if one.supervisor.clock and one.supervisor.source.live]
        last_or_new = last  # a run that is killed within seconds was a run, too
        for source in begun:
            clock, name = source.supervisor.clock, source.supervisor.source.name
            if source.follows_on or clock is None:
                continue
            source.follows_on = last_or_new = True
            before = self._last_heard.last(name) if source.heard_until is None else source.heard_until
            if before is not None and clock.anchor - before > RESTART:
                self._reporter.report(source.supervisor, [Missed(before, clock.epoch(0), "restart")])
        now = self._time.steady()
        if last_or_new or now - self._noted_at >= NOTED_EVERY:
            self._noted_at = now
            until = {one.supervisor.source.name: one.supervisor.account.heard_until for one in begun}
            self._last_heard.note({name: time for name, time in until.items() if time})

    def _decide(self) -> bool:
        """One waiting chunk of every source. False if none waits."""
        waiting = [supervisor for supervisor in self.supervisors if supervisor.pipeline.due]
        owners: dict[int, SourceSupervisor] = {id(supervisor.pipeline): supervisor for supervisor in waiting}
        pipelines: list[Pipeline] = [supervisor.pipeline for supervisor in waiting]
        began = time.perf_counter()
        for pipeline, changes in decide(self._model.classifier, pipelines, self._load.every):
            supervisor = owners[id(pipeline)]
            if self._memory:
                self._remember(supervisor, self._memory)
            if pipeline.scores is not None and supervisor.clock is not None:
                self._observer.scored(
                    supervisor.source.name, supervisor.clock.epoch(pipeline.tracker.position), pipeline.scores
                )
            if changes:
                self._reporter.report(supervisor, [Changed(changes)])
        if waiting:
            self._observer.decided(len(waiting), time.perf_counter() - began)
        return bool(waiting)

    def _remember(self, supervisor: SourceSupervisor, memory: Memory) -> None:
        """What the newest chunk of a source sounded like."""
        pipeline, following = supervisor.pipeline, supervisor.pipeline.memory
        if isinstance(following, Following) and following.latest is not None and supervisor.clock is not None:
            time = supervisor.clock.epoch(pipeline.tracker.position)
            memory.note(supervisor.source.name, time, following.latest)


def _watch(entry: SourceSettings) -> Watch:
    if isinstance(entry, FileSource):
        return Watch()
    return Watch(entry.stall_after, entry.reopen_after, entry.silent_after)
