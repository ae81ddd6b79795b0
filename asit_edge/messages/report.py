"""Reports about the listening itself: states of sources, their level, and audio that was lost.

Events live in `asit_edge.messages.event`. These are the payloads only; who sends them, and where to, is not decided
here.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["starting", "listening", "silent_device", "stalled", "lost", "recovering", "failed", "muted", "stopped"]
"""What a source is doing. Only in `listening` does "no event" mean that nothing was heard."""


class _Report(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = Field(1, alias="schema")
    device: str
    source: str

    def to_json(self) -> str:
        """One line, the fields always in the same order."""
        return self.model_dump_json(by_alias=True)


class Status(_Report):
    """A source's state, told whenever it changes."""

    state: State
    since: str = Field(description="ISO 8601 with milliseconds and Z")
    detail: str = Field("", description="why, in words; empty if there is nothing to say")
    heard: float = Field(0.0, ge=0, description="seconds of audio heard since the start")
    lost: float = Field(0.0, ge=0, description="seconds of audio lost in gaps since the start")
    gaps: int = Field(0, ge=0, description="gaps since the start")


class Level(_Report):
    """How loud a source is, once a second."""

    dbfs: float = Field(le=3.02, description="RMS against a full-scale sine; digital silence is the floor, -120")
    peak_dbfs: float = Field(description="highest sample against full scale")
    rms: float = Field(ge=0, description="of samples from -1 to 1")


class Gap(_Report):
    """Audio that was never heard. \"No event\" says nothing about this time."""

    begin: str = Field(alias="from", description="ISO 8601 with milliseconds and Z")
    end: str = Field(alias="to", description="ISO 8601 with milliseconds and Z")
    duration: float = Field(ge=0, description="seconds")
    cause: str = Field(description="overrun, lost, stalled, suspend, overload, restart, ...")


class ClipReport(_Report):
    """What became of the recording of an event: where it is, or why there is none."""

    event: str = Field(description="id of the event")
    label: str = Field(description="display name")
    kept: bool
    path: str | None = Field(description="below the folder of clips on the device; null: there is none")
    url: str | None = Field(description="where it can be had; null: that is not known, or there is none")
    seconds: float | None = Field(ge=0, description="how long it is")
    reason: Literal["", "speech", "disk", "late"] = Field(
        description="why there is none: somebody may have spoken; the disk takes nothing; the sound was not in memory "
        "any more. Empty if there is one"
    )


class AdjustedLabel(BaseModel):
    """What differs of a label."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float | None = Field(description="score at which its events start; null: as configured")
    report: bool = Field(description="false: it is not reported until that is switched on again")
    snoozed_until: str | None = Field(description="ISO 8601 with milliseconds and Z; null: not snoozed")


class Adjusted(_Report):
    """What was adjusted of a source and differs from its configuration, told whenever that changes."""

    listen: bool = Field(description="false: switched off")
    snoozed_until: str | None = Field(description="the whole source, ISO 8601 with milliseconds and Z; null: not")
    labels: dict[str, AdjustedLabel] = Field(description="by display name; labels that are as configured are not here")


class CommandError(_Report):
    """The answer to a command that makes no sense. Nothing was changed."""

    command: str = Field(description="what followed `set/` in the topic")
    payload: str = Field(description="its payload, at most 100 characters of it")
    error: str = Field(description="what was wrong, and what would be right")


class Health(BaseModel):
    """How this device's store and sinks are doing, told whenever a problem comes or goes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = Field(1, alias="schema")
    device: str
    problem: str = Field(description="what is wrong at the moment; empty if nothing is")
    dropped: int = Field(ge=0, description="messages given up undelivered since the start, because a bound was reached")
    refused: int = Field(ge=0, description="messages that a sink refused for good and that the store keeps")

    def to_json(self) -> str:
        """One line, the fields always in the same order."""
        return self.model_dump_json(by_alias=True)


class DeviceIdentity(BaseModel):
    """Who listens under a device's name: one of this device's runs, or another device."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = Field(1, alias="schema")
    device: str
    identity: str = Field(description="of the device: random, the same for as long as it keeps its state directory")
    run: str = Field(description="of this run of the listener: random")
    host: str = Field(description="its host name")
    since: str = Field(description="start of the run, ISO 8601 with milliseconds and Z")

    def to_json(self) -> str:
        """One line, the fields always in the same order."""
        return self.model_dump_json(by_alias=True)
