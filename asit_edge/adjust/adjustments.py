"""What was adjusted, by source and label, and what a command makes of it. Pure; `adjustments.yaml` is this.

An adjustment says only what differs from the configuration: what is as configured again is gone from it.
"""

from collections.abc import Collection
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from asit_edge.mqtt.commands import HIGHEST, LONGEST_SNOOZE, LOWEST, Command

Epoch = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


AnyPart = TypeVar("AnyPart", bound=_Part)


class Snooze(_Part):
    """Nothing is reported for a while. In seconds since the epoch, by the clock of whoever asked for it."""

    begin: Epoch
    until: Epoch

    @model_validator(mode="after")
    def _bounded(self) -> "Snooze":
        if not 0 < self.length <= LONGEST_SNOOZE + 0.001:
            raise ValueError(f"until must be later than begin, by at most {LONGEST_SNOOZE} seconds")
        return self

    @property
    def length(self) -> float:
        """Seconds."""
        return self.until - self.begin

    def left(self, wall: float) -> float:
        """Seconds until it is over when the clock says `wall`; a clock that was set back makes it no longer."""
        return min(max(self.until - wall, 0.0), self.length)


class LabelAdjustment(_Part):
    """Of a label of a source."""

    threshold: float | None = Field(None, ge=LOWEST, le=HIGHEST, description="score at which its events begin")
    report: bool = True
    snooze: Snooze | None = None


class SourceAdjustment(_Part):
    """Of a source; `labels` by their display names."""

    listen: bool = True
    snooze: Snooze | None = None
    labels: dict[str, LabelAdjustment] = Field(default_factory=dict)


class Adjustments(_Part):
    """All of `adjustments.yaml`. Names that mean nothing at the moment are kept: a source or label may come back."""

    schema_version: Literal[1] = 1
    sources: dict[str, SourceAdjustment] = Field(default_factory=dict)

    def of(self, source: str) -> SourceAdjustment:
        return self.sources.get(source, AS_CONFIGURED)

    def snoozes(self) -> dict[tuple[str, str | None], Snooze]:
        """By source and label; None is the whole source."""
        found: dict[tuple[str, str | None], Snooze | None] = {}
        for name, source in self.sources.items():
            found[name, None] = source.snooze
            found |= {(name, label): one.snooze for label, one in source.labels.items()}
        return {key: snooze for key, snooze in found.items() if snooze is not None}


AS_CONFIGURED = SourceAdjustment()
NOTHING = Adjustments()


def obeyed(before: Adjustments, command: Command, wall: float) -> Adjustments:
    """With what a command asks for at that time (seconds since the epoch). ValueError for a value out of bounds.

    `listen` and `report` also end the snooze of what they are about.
    """
    value = command.value
    if command.name == "snooze":
        return _changed(before, command.source, command.label, snooze=_snooze(wall, value))
    if command.name == "listen" and command.label is None:
        return _changed(before, command.source, None, listen=value, snooze=None)
    if command.name == "report" and command.label is not None:
        return _changed(before, command.source, command.label, report=value, snooze=None)
    if command.name == "threshold" and command.label is not None:
        return _changed(before, command.source, command.label, threshold=value)
    raise ValueError(f"no command {command.name!r}")


def woken(before: Adjustments, source: str, label: str | None, snooze: Snooze) -> Adjustments:
    """Without that snooze, which is over; one that has taken its place meanwhile stays."""
    if before.snoozes().get((source, label)) != snooze:
        return before
    return _changed(before, source, label, snooze=None)


def awake(before: Adjustments, wall: float) -> Adjustments:
    """Without snoozes that are over at that time."""
    for place, snooze in before.snoozes().items():
        if not snooze.left(wall):
            before = woken(before, *place, snooze)
    return before


def as_configured(before: Adjustments, sources: Collection[str], labels: Collection[str] | None) -> Adjustments:
    """With nothing adjusted of these sources, or of these labels of theirs only."""
    left = {}
    for name, source in before.sources.items():
        if name in sources:
            kept = {} if labels is None else {key: one for key, one in source.labels.items() if key not in labels}
            source = AS_CONFIGURED if labels is None else _but(source, labels=kept)
        left[name] = source
    return _but(before, sources={name: one for name, one in left.items() if one != AS_CONFIGURED})


def _snooze(wall: float, seconds: bool | float | None) -> Snooze | None:
    if not seconds:
        return None
    return Snooze(begin=round(wall, 3), until=round(wall + seconds, 3))


def _changed(before: Adjustments, name: str, label: str | None, **changes: Any) -> Adjustments:
    source = before.of(name)
    if label is None:
        source = _but(source, **changes)
    else:
        one = _but(source.labels.get(label, LabelAdjustment()), **changes)
        others = {key: other for key, other in source.labels.items() if key != label}
        source = _but(source, labels=others if one == LabelAdjustment() else {**others, label: one})
    rest = {key: other for key, other in before.sources.items() if key != name}
    return _but(before, sources=rest if source == AS_CONFIGURED else {**rest, name: source})


def _but(part: AnyPart, **changes: Any) -> AnyPart:
    """The same with other values, which are checked."""
    return type(part)(**{**dict(part), **changes})
