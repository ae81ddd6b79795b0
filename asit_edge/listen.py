"""Live listening: sources write into their rings, this loop turns what it finds into stored, announced events."""

import logging
import time
from collections.abc import Callable
from typing import TextIO

import numpy as np

from asit_edge.assembly import Model, load_model
from asit_edge.clock import SampleClock, iso
from asit_edge.config import Config, FileSource, MicrophoneSource
from asit_edge.errors import AsitEdgeError
from asit_edge.event import EventWriter
from asit_edge.events import Change
from asit_edge.pipeline import to_mono
from asit_edge.report import Gap
from asit_edge.ring import Block
from asit_edge.sinks.mqtt import MqttSink
from asit_edge.sources import Source, audio_file
from asit_edge.sources.audio_file import CLIPPED_SHARE, FULL_SCALE
from asit_edge.store import Store

log = logging.getLogger(__name__)

IDLE = 0.01
"""Seconds to rest when no source has anything new."""

DRAIN_SECONDS = 5.0
"""How long the broker gets, when listening ends, to take what is still waiting."""


class LiveStream:
    """One source on its way through the pipeline."""

    def __init__(self, source: Source, channel: int | None, model: Model, device: str, store: Store) -> None:
        self.source = source
        self._channel = channel
        self._model = model
        self._device = device
        self._store = store
        self._pipeline = model.pipeline(source.rate)
        self._clock: SampleClock | None = None
        self._writer: EventWriter | None = None
        self._warned: set[str] = set()

    def advance(self) -> list[str]:
        """Takes what the ring holds, at most half a second; returns the events as stored, one JSON object each."""
        read = self.source.ring.read(self.source.rate // 2)
        changes: list[Change] = []
        if read.lost:
            start = self._pipeline.position
            changes += self._pipeline.gap(read.lost)
            self._report_gap(start, "overrun")
        if len(read.samples):
            changes += self._pipeline.push(to_mono(self._checked(read.samples), self._channel))
        return self._store_changes(changes)

    @property
    def idle(self) -> bool:
        return self.source.ring.unread == 0

    def finish(self) -> list[str]:
        """The source is over: ends what is still sounding."""
        return self._store_changes(self._pipeline.finish())

    def _store_changes(self, changes: list[Change]) -> list[str]:
        if not changes:
            return []
        now = time.time()
        events = [self._event_writer().write(change, now) for change in changes]
        return [event.to_json() for event in self._store.commit(events, f"{self.source.name}/event")]

    def _report_gap(self, start: int, cause: str) -> None:
        """Audio from `start` to where the pipeline is now was never heard; the world is told so."""
        clock = self._sample_clock()
        begin, end = clock.epoch(start), clock.epoch(self._pipeline.position)
        gap = Gap.model_validate(
            {
                "schema": 1,
                "device": self._device,
                "source": self.source.name,
                "from": iso(begin),
                "to": iso(end),
                "duration": round(end - begin, 3),
                "cause": cause,
            }
        )
        log.warning("%s: %.3f s of audio lost (%s); is the machine overloaded?", self.source.name, end - begin, cause)
        self._store.post(f"{self.source.name}/gap", gap.to_json())

    def _checked(self, block: Block) -> Block:
        if not np.isfinite(block).all():
            self._warn("delivers samples that are not numbers; they are taken as silence")
            block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
        if float((np.abs(block) >= FULL_SCALE).mean()) > CLIPPED_SHARE:
            self._warn("is clipped (over 1 % of its samples are at full scale); lower its gain")
        return block

    def _warn(self, problem: str) -> None:
        if problem not in self._warned:
            self._warned.add(problem)
            log.warning("%s: the audio %s", self.source.name, problem)

    def _sample_clock(self) -> SampleClock:
        if self._clock is None:
            anchor = self.source.started_at
            self._clock = SampleClock(
                anchor if anchor is not None else time.time(), self._model.manifest.front_end.sample_rate
            )
        return self._clock

    def _event_writer(self) -> EventWriter:
        if self._writer is None:
            clock = self._sample_clock()
            self._writer = EventWriter(
                self._device, self.source.name, iso(clock.anchor), clock, self._model.manifest, replayed=False
            )
        return self._writer


def open_source(settings: MicrophoneSource | FileSource, model_rate: int) -> Source:
    """Raises AsitEdgeError or WrongUse if there is no such device or file."""
    if isinstance(settings, FileSource):
        return audio_file.FileSource(settings.name, settings.path)
    from asit_edge.sources.microphone import Microphone  # loads PortAudio, which a file does not need

    return Microphone(settings.name, settings.device, settings.channel, settings.rate, model_rate)


def listen(config: Config, out: TextIO, stopping: Callable[[], bool]) -> None:
    """Listens until `stopping()`, or until every source has ended; writes events to `out`, one JSON object a line.

    Raises AsitEdgeError if nothing can be listened to, a source breaks off, or, when sources have come to their
    end, the broker has not taken every message (they stay in the store).
    """
    model = load_model(config, may_build=True)
    sources = [(open_source(entry, model.manifest.front_end.sample_rate), entry) for entry in config.sources]
    store = Store(config.store.effective_path, config.store.keep, queue=config.mqtt.host is not None)
    sink = MqttSink(config.mqtt, config.device_name, store) if config.mqtt.host else None
    streams = [
        LiveStream(source, getattr(entry, "channel", None), model, config.device_name, store)
        for source, entry in sources
    ]
    if sink:
        sink.start()
    try:
        for stream in streams:
            stream.source.start()
        broken = _run(streams, out, sink, stopping)
    finally:
        for stream in streams:
            stream.source.stop()
        delivered = sink.drain(DRAIN_SECONDS if sink.first_attempt(5.0) else 0.0) if sink else True
        problem = sink.problem if sink else None
        waiting = store.count_waiting()
        if sink:
            sink.stop()
        store.close()
    if broken:
        raise AsitEdgeError(broken)
    if not delivered:
        message = f"{waiting} message(s) not delivered yet, kept in {config.store.effective_path}"
        if not stopping():
            raise AsitEdgeError(f"{problem}; {message}" if problem else message)
        log.warning("%s", message)


def _run(streams: list[LiveStream], out: TextIO, sink: MqttSink | None, stopping: Callable[[], bool]) -> str:
    """The listening loop. Returns why a source broke off, or "" if it ended as it should."""
    active = list(streams)
    heard: set[str] = set()
    broken = ""
    while active and not broken and not stopping():
        rest = True
        for stream in list(active):
            source = stream.source
            ended = source.ended  # asked before reading, so that the last samples are not missed
            _publish(stream.advance(), out, sink)
            if source.ring.written and source.name not in heard:
                heard.add(source.name)
                log.info("%s: listening at %d Hz, %d channel(s)", source.name, source.rate, source.ring.channels)
            if not stream.idle:
                rest = False
            elif ended is not None:
                active.remove(stream)
                _publish(stream.finish(), out, sink)
                broken = broken or ended
        if rest:
            time.sleep(IDLE)
    for stream in active:
        stream.source.stop()  # first: a live source would never be read to its end
        while not stream.idle:
            _publish(stream.advance(), out, sink)
        _publish(stream.finish(), out, sink)
    return broken


def _publish(messages: list[str], out: TextIO, sink: MqttSink | None) -> None:
    for message in messages:
        print(message, file=out, flush=True)
    if messages and sink:
        sink.wake()
