"""`events` in config.yaml, and what differs for a source or a label."""

from typing import Annotated

from pydantic import Field, model_validator

from asit_edge.config.section import Name, Seconds, Section


class LabelSettings(Section):
    """What differs for one label; null keeps what `events` says."""

    on_threshold: float | None = Field(None, ge=0.001, le=0.999)
    off_threshold: float | None = Field(None, gt=0, lt=1)
    min_duration: Seconds | None = None
    merge_gap: Seconds | None = None
    cooldown: Seconds | None = None
    max_duration: Seconds | None = None


class SourceEvents(Section):
    """What differs for one source; null, and labels that are left out, keep what `events` says."""

    min_duration: Seconds | None = None
    merge_gap: Seconds | None = None
    cooldown: Seconds | None = None
    max_duration: Seconds | None = None
    only: list[str] | None = None
    labels: dict[str, LabelSettings] = Field(default_factory=dict)


TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
"""Local time, "22:30"."""


class QuietHours(Section):
    """When nothing is reported. Begin and end may lie on both sides of midnight."""

    begin: TimeOfDay
    end: TimeOfDay
    labels: list[str] | None = Field(None, description="null: all, the source counts as muted")
    sources: list[Name] | None = Field(None, description="null: all")

    @model_validator(mode="after")
    def _some_time(self) -> "QuietHours":
        if self.begin == self.end:
            raise ValueError(f"begin and end must differ, both are {self.begin}")
        return self


class Events(Section):
    """When scores become events. Durations in seconds."""

    interval: float | None = Field(None, gt=0, le=10, description="between decisions; null: the model's own")
    min_duration: Seconds = 0.0
    merge_gap: Seconds = 1.0
    cooldown: Seconds = 0.0
    max_duration: Seconds = Field(0.0, description="a longer event ends and goes on as another; 0: no limit")
    update_every: Seconds = Field(5.0, description="0: no updates")
    only: list[str] | None = Field(None, description="labels to report; null: all of the model's")
    labels: dict[str, LabelSettings] = Field(default_factory=dict)
    parents: dict[str, str] = Field(
        default_factory=dict, description="label to the more general one: their sounds together are one event"
    )
    same_room: list[list[Name]] = Field(
        default_factory=list, description="sources that hear the same sounds: the first to hear one reports it"
    )
    same_within: float = Field(1.0, ge=0, le=10, description="between onsets of what is one sound in a room")
    quiet_hours: list[QuietHours] = Field(default_factory=list)
    silence_gate: float | None = Field(None, ge=-120, le=0, description="dBFS; below it the model is not asked")
