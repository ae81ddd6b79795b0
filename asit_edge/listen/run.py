"""What `asit-edge listen` does, from the configuration to the last event delivered."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from asit_edge.adjust.file import adjustments_file
from asit_edge.adjust.keeper import Keeper
from asit_edge.assembly import Model, fits, load_model, open_source
from asit_edge.audio.clock import SystemClock
from asit_edge.config.remote import Wanted
from asit_edge.config.root import Config
from asit_edge.deliver.delivery import Delivery, Remains
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.host.lines import Lines
from asit_edge.host.systemd import Systemd
from asit_edge.listen.companions import Companions, open_companions
from asit_edge.listen.last_heard import LastHeard
from asit_edge.listen.loop import ListeningLoop
from asit_edge.listen.observed import ObservedAnnouncer
from asit_edge.listen.reload import Change, Changes, Reloading
from asit_edge.listen.reporter import Output
from asit_edge.listen.unfinished import end_unfinished
from asit_edge.listen.unhurried import UnhurriedAnnouncer, UnhurriedNotes
from asit_edge.model.key import model_key
from asit_edge.observe.observer import Observer
from asit_edge.observe.observers import Observers
from asit_edge.remote.differing import other_sources
from asit_edge.teach.memory import Memory, memory_folder

if TYPE_CHECKING:
    from asit_edge.remote.rollout import Rollout

log = logging.getLogger(__name__)

IDLE = 0.02
"""Seconds to rest when no source has anything new."""

DRAIN_SECONDS = 5.0
"""How long the broker gets, when listening ends, to take what is still waiting."""

COMPANIONS_SECONDS = 2.0
"""How long each of what runs beside the listening gets for its end."""

LONGEST_STOP = 18.0
"""After so many seconds the listener ends, whatever does not; the unit for systemd gives it 20."""


def listen(
    config: Config,
    out: Output,
    stopping: Callable[[], bool],
    rest: Callable[[float], object],
    observer: Observer | None = None,
    changes: Changes | None = None,
) -> None:
    """Listens until `stopping()`, or until every source has ended; writes events to `out`, one JSON object a line.

    `rest` waits so many seconds, less when it is time to stop. `observer` looks on; it is told at first what the model
    knows. `changes` may change the configuration meanwhile. Raises AsitEdgeError if nothing can be listened to, a
    source that is not opened again breaks off, or, when sources have come to their end, the broker has not taken every
    message (they stay in the store).
    """
    model = load_model(config, may_build=True)
    sources = [open_source(entry, model.manifest.front_end.sample_rate) for entry in config.sources]
    delivery = Delivery(config, model.manifest, model.serving)
    systemd = Systemd()
    last_heard = LastHeard(config.store.effective_path.with_name("heard.json"))
    companions = open_companions(config, model, delivery)
    watching = companions.observer
    if observer is not None:
        observer.know(model.manifest)
        watching = Observers([watching, observer])
    announcer = UnhurriedAnnouncer(ObservedAnnouncer(delivery, watching), out)
    notes = UnhurriedNotes(last_heard)
    _count_dropped(companions, announcer, notes, out)
    memory = open_memory(config, model)
    keeper = Keeper(adjustments_file(config))
    loop = ListeningLoop(
        config,
        model,
        sources,
        announcer,
        out,
        SystemClock(),
        last_heard=notes,
        memory=memory,
        observer=watching,
        in_force=keeper.in_force,
    )
    coming = _Coming(config, changes, model, delivery, companions, loop)
    delivery.start()
    companions.start()
    end_unfinished(delivery, last_heard.last, time.time(), out)
    loop.start()
    keeper.start()
    if model.vocabulary:
        model.vocabulary.watch()
    coming.start()
    systemd.ready()
    try:
        while not loop.over and not stopping() and not coming.restarting:
            coming.take(announcer)
            if not loop.tick():
                rest(IDLE)
            announcer.check()
            progress = loop.progress
            companions.beat(progress)
            systemd.watch(progress, loop.summary)
    finally:
        latest = time.monotonic() + LONGEST_STOP
        if not coming.restarting:
            systemd.stopping()
        coming.stop()
        if model.vocabulary:
            model.vocabulary.stop()
        loop.stop()
        announcer.stop(DRAIN_SECONDS)
        companions.stop(COMPANIONS_SECONDS)
        notes.stop(1.0)
        keeper.stop(1.0)
        if memory:
            memory.stop(1.0)
        remains = _stopped(delivery, latest)
    if loop.broken:
        raise AsitEdgeError(loop.broken)
    if remains.waiting:
        _tell(remains, config.store.effective_path, stopping() or coming.restarting)


def _tell(remains: Remains, store: Path, wanted: bool) -> None:
    """Raises AsitEdgeError unless it was `wanted` that listening ends."""
    message = f"{remains.waiting} message(s) not delivered yet, kept in {store}"
    if not wanted:
        raise AsitEdgeError(f"{remains.problem}; {message}" if remains.problem else message)
    log.warning("%s", message)


class _Coming:
    """Other configurations, from the file or from afar, for as long as this listener runs."""

    def __init__(
        self,
        config: Config,
        changes: Changes | None,
        model: Model,
        delivery: Delivery,
        companions: Companions,
        loop: ListeningLoop,
    ) -> None:
        """Without `changes` nothing ever comes."""
        self._model, self._delivery, self._companions, self._loop = model, delivery, companions, loop
        self._changes = changes
        self._reloading: Reloading | None = None
        self._rollout: Rollout | None = None
        if changes:
            self._reloading = Reloading(config, changes, self._prepare)
            delivery.tells(self._reloading.problem)
        if changes and changes.tried and config.remote.enabled and config.mqtt.host is not None:
            self._rollout = self._open_rollout(config, changes, changes.tried)

    @property
    def restarting(self) -> bool:
        """The listener is to end, and to begin anew."""
        return self._changes is not None and self._changes.restart.is_set()

    def start(self) -> None:
        if self._reloading:
            self._reloading.start()
        if self._rollout:
            self._rollout.start()

    def stop(self) -> None:
        if self._rollout:
            self._rollout.stop()
        if self._reloading:
            self._reloading.stop()

    def take(self, announcer: UnhurriedAnnouncer) -> None:
        """The configuration that has changed, if one has."""
        change = self._reloading.take(self._model.manifest) if self._reloading else None
        if change is not None:
            configure = partial(self._delivery.configure, change.delivery)
            change.beside()
            self._loop.reconfigure(change.config, change.opened, lambda: announcer.then(configure))

    def _prepare(self, before: Config, after: Config) -> Change:
        """Raises AsitEdgeError where something in it cannot be used."""
        fits(after, self._model.manifest)
        rate = self._model.manifest.front_end.sample_rate
        opened = {entry.name: open_source(entry, rate) for entry in other_sources(before, after)}
        return Change(after, opened, self._delivery.prepare(before, after), self._companions.prepare(after))

    def _open_rollout(self, config: Config, changes: Changes, tried: Callable[[Wanted | None], Config]) -> "Rollout":
        from asit_edge.remote.rollout import Listener, Rollout

        reloading, delivery, loop = self._reloading, self._delivery, self._loop
        assert reloading is not None
        listener = Listener(
            read=tried,
            in_force=lambda: reloading.config,
            problem=reloading.problem,
            states=lambda: {one.source.name: one.state for one in loop.supervisors},
            connected=lambda: delivery.connected,
            reload=changes.asked.set,
            restart=changes.restart.set,
            answer=delivery.configured,
        )
        rollout = Rollout(config, listener)
        delivery.on_wanted = rollout.offer
        delivery.tells(rollout.problem)
        return rollout


def _count_dropped(companions: Companions, announcer: UnhurriedAnnouncer, notes: UnhurriedNotes, out: Output) -> None:
    """What bounded queues beside the listening have no room for is counted by whoever measures."""
    companions.side_output("announcements", lambda: announcer.dropped)
    companions.side_output("notes", lambda: notes.dropped)
    if isinstance(out, Lines):
        companions.side_output("stdout", lambda: out.dropped)


def open_memory(config: Config, model: Model) -> Memory | None:
    """Where it is asked for, what sources sound like is remembered. Raises WrongUse, AsitEdgeError."""
    hours = config.teach.remember_hours
    if not hours:
        return None
    if model.vocabulary is None:
        name = model.manifest.name
        raise WrongUse(f"teach.remember_hours: {name} cannot be taught; choose another model, or set it to 0")
    axes, bundle = model.vocabulary.remember(), model.bundle
    front_end = bundle.manifest.front_end
    seconds = bundle.stream.frames * front_end.hop / front_end.sample_rate
    return Memory(memory_folder(), model_key(bundle.manifest), len(axes), seconds, hours)


def _stopped(delivery: Delivery, latest: float) -> Remains:
    """Stops it, also where the disk of its store hangs. Raises AsitEdgeError if it does, at `latest` (monotonic)."""
    found: list[Remains] = []
    thread = threading.Thread(target=lambda: found.append(delivery.stop(DRAIN_SECONDS)), name="stop", daemon=True)
    thread.start()
    thread.join(max(latest - time.monotonic(), 0.0))
    if not found:
        raise AsitEdgeError("the disk of the event store hangs; what it has not taken is lost")
    return found[0]
