"""From the changes of one stream's tracker to the events that the world sees."""

import uuid

from asit_edge.audio.clock import SampleClock, iso
from asit_edge.detect.tracker import Change
from asit_edge.messages.event import Event, ModelName
from asit_edge.model.bundle import Manifest

_NAMESPACE = uuid.UUID("6a1d0f0c-3a57-5b0e-9f5c-0b6c6b7f5d11")


class EventWriter:
    """Puts the changes of one stream into words."""

    def __init__(
        self, device: str, source: str, stream: str, clock: SampleClock, manifest: Manifest, *, replayed: bool
    ) -> None:
        """`stream` tells this stream from every other of the source; with the onset it makes the event's id."""
        self._device, self._source, self._stream = device, source, stream
        self._clock, self._manifest, self._replayed = clock, manifest, replayed
        self._model = ModelName(name=manifest.name, version=manifest.version)

    def know(self, manifest: Manifest) -> None:
        """Labels have come after those that there were."""
        self._manifest = manifest

    def write(self, change: Change, now: float | None = None) -> Event:
        """`now` in seconds since the epoch for a live stream; without it, time is where the audio is."""
        label = self._manifest.labels[change.label]
        onset = self._clock.epoch(change.onset)
        known = now if now is not None else self._clock.epoch(change.decided)
        offset = self._clock.epoch(change.offset) if change.offset is not None else None
        return Event(
            schema=1,
            type=change.kind.value,
            id=self._id(change.label, change.onset),
            device=self._device,
            source=self._source,
            label=label.name,
            label_id=label.id,
            score=round(change.score, 4),
            peak=round(change.peak, 4),
            onset=iso(onset),
            offset=iso(offset) if offset is not None else None,
            duration=round(offset - onset, 3) if offset is not None else None,
            onset_epoch=onset,
            latency_ms=max(round((known - onset) * 1000), 0),
            seq=0,
            replayed=self._replayed,
            clip=None,
            model=self._model,
            also=[self._manifest.labels[other].name for other in change.also],
            continues=self._id(change.label, change.continues) if change.continues is not None else None,
        )

    def _id(self, label: int, onset: int) -> str:
        name = f"{self._device}|{self._source}|{self._manifest.labels[label].id}|{self._stream}|{onset}"
        return str(uuid.uuid5(_NAMESPACE, name))
