"""The event as the world sees it: one JSON object with the same fields everywhere (stdout, MQTT, store)."""

import uuid
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asit_edge.bundle import Manifest
from asit_edge.clock import SampleClock, iso
from asit_edge.events import Change

_NAMESPACE = uuid.UUID("6a1d0f0c-3a57-5b0e-9f5c-0b6c6b7f5d11")


class ModelName(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: str


class Event(BaseModel):
    """One message about one event. Times are UTC; `offset` and `duration` are known when the event has ended."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = Field(1, alias="schema")
    type: Literal["new", "update", "end"]
    id: str = Field(description="the same in every message about one event, and in every replay of it")
    device: str
    source: str
    label: str = Field(description="display name, AudioSet's where the class is AudioSet's")
    label_id: str
    score: float = Field(ge=0, le=1, description="the newest")
    peak: float = Field(ge=0, le=1, description="the highest so far")
    onset: str = Field(description="ISO 8601 with milliseconds and Z")
    offset: str | None
    duration: float | None = Field(description="seconds")
    onset_epoch: float = Field(description="seconds since 1970-01-01T00:00:00Z")
    latency_ms: int = Field(ge=0, description="from the onset to this message; in a replay, of the audio heard by then")
    seq: int = Field(ge=0, description="counts this device's messages")
    replayed: bool = Field(description="not told as it happened: sent late after an outage, or from a recording")
    clip: str | None = Field(description="recording of the event, if one was kept")
    model: ModelName
    also: list[str] = Field(default_factory=list, description="other labels of the same sound")
    continues: str | None = Field(
        None, description="id of the event that was ended for its length and goes on in this one"
    )

    def to_json(self) -> str:
        """One line, always in the order above."""
        return self.model_dump_json(by_alias=True)


def late(payload: str) -> str:
    """A stored event as it is told afterwards: marked as replayed. Other payloads stay as they are."""
    try:
        event = Event.model_validate_json(payload)
    except ValidationError:
        return payload
    return event.model_copy(update={"replayed": True}).to_json()


class EventWriter:
    """Puts the changes of one stream into words."""

    def __init__(
        self, device: str, source: str, stream: str, clock: SampleClock, manifest: Manifest, *, replayed: bool
    ) -> None:
        """`stream` tells this stream from every other of the source; with the onset it makes the event's id."""
        self._device, self._source, self._stream = device, source, stream
        self._clock, self._manifest, self._replayed = clock, manifest, replayed
        self._model = ModelName(name=manifest.name, version=manifest.version)

    def write(self, change: Change, now: float | None = None) -> Event:
        """`now` in seconds since the epoch for a live stream; without it, time is where the audio is."""
        label = self._manifest.labels[change.label]
        onset = self._clock.epoch(change.onset)
        told = now if now is not None else self._clock.epoch(change.decided)
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
            latency_ms=max(round((told - onset) * 1000), 0),
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
