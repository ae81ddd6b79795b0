"""What an adjustment means for one source of a model: what is muted, which thresholds, what is told of it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from asit_edge.adjust.adjustments import Adjustments, SourceAdjustment
from asit_edge.audio.clock import iso
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.messages.report import Adjusted, AdjustedLabel

Classes = Sequence[ClassSettings | None]
"""How each class of the model becomes events, as configured; None where it is not reported."""


@dataclass(frozen=True)
class Effect:
    """On one source. Classes by their index in the model."""

    why_muted: str = ""
    """Why nothing is listened to; "" if something is."""
    muted: frozenset[int] = frozenset()
    """Classes that are not reported."""
    settings: Mapping[int, ClassSettings] = field(default_factory=dict)
    """Of classes whose thresholds are adjusted."""

    def moved(self, before: "Effect", classes: Classes, again: bool = False) -> Iterator[tuple[int, ClassSettings]]:
        """What takes the place of what was in force before; with `again` also what stays as it was."""
        for index in sorted({*self.settings, *before.settings}):
            now = self.settings.get(index, classes[index])
            if now is not None and (again or now != before.settings.get(index, classes[index])):
                yield index, now


def effect(adjustment: SourceAdjustment, labels: Sequence[str], classes: Classes, wall: float) -> Effect:
    """`labels` are the model's display names, in its order; `wall` is now, in seconds since the epoch."""
    places = {label: index for index, label in enumerate(labels)}
    muted, settings = set[int](), dict[int, ClassSettings]()
    for label, one in adjustment.labels.items():
        index = places.get(label)
        configured = None if index is None else classes[index]
        if index is None or configured is None:
            continue
        if not one.report or one.snooze:
            muted.add(index)
        if one.threshold is not None:
            settings[index] = with_threshold(configured, one.threshold)
    why = ""
    if not adjustment.listen:
        why = "switched off"
    elif adjustment.snooze:
        why = f"snoozed until {clock_time(adjustment.snooze.until, wall)}"
    return Effect(why, frozenset(muted), settings)


def with_threshold(configured: ClassSettings, on: float) -> ClassSettings:
    """Events begin at another score. Where that is lower, they end at one that is lower by as much, in proportion."""
    return replace(configured, on=on, off=min(configured.off * min(on / configured.on, 1.0), on))


def clock_time(epoch: float, now: float) -> str:
    """As a clock on the wall shows it; with the day where it could be mistaken."""
    return datetime.fromtimestamp(epoch).strftime("%H:%M" if epoch - now < 20 * 3600 else "%Y-%m-%d %H:%M")


def report(device: str, source: str, adjustment: SourceAdjustment, labels: Sequence[str]) -> Adjusted:
    """What is told of a source; labels that the model does not have are left out."""
    return Adjusted(
        schema=1,
        device=device,
        source=source,
        listen=adjustment.listen,
        snoozed_until=iso(adjustment.snooze.until) if adjustment.snooze else None,
        labels={
            label: AdjustedLabel(
                threshold=one.threshold,
                report=one.report,
                snoozed_until=iso(one.snooze.until) if one.snooze else None,
            )
            for label, one in adjustment.labels.items()
            if label in labels
        },
    )


def strangers(adjustments: Adjustments, sources: Sequence[str], labels: Sequence[str]) -> Iterator[str]:
    """Names in the adjustments that mean nothing here, each in words for the user."""
    for name, source in adjustments.sources.items():
        if name not in sources:
            yield f"source {name!r}, which is not configured"
            continue
        for label in source.labels:
            if label not in labels:
                yield f"{label!r} of {name}, which the model does not have"
