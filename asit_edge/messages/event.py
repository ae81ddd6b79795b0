"""The event as the world sees it: one JSON object with the same fields everywhere (stdout, MQTT, store)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


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
    clip: str | None = Field(description="at the end: where its recording will be; null: there is none")
    model: ModelName
    also: list[str] = Field(default_factory=list, description="other labels of the same sound")
    continues: str | None = Field(
        None, description="id of the event that was ended for its length and goes on in this one"
    )

    def to_json(self) -> str:
        """One line, always in the order above."""
        return self.model_dump_json(by_alias=True)


def late(payload: str) -> str:
    """A stored event as it is sent late: marked as replayed. Other payloads stay as they are."""
    try:
        event = Event.model_validate_json(payload)
    except ValidationError:
        return payload
    return event.model_copy(update={"replayed": True}).to_json()
