"""What `asit-edge set show` prints, for people."""

from collections.abc import Iterator

from asit_edge.adjust.adjustments import LabelAdjustment, Snooze, SourceAdjustment
from asit_edge.adjust.effect import clock_time
from asit_edge.cli.adjusting.device import AdjustedDevice
from asit_edge.errors import readable


def lines(device: AdjustedDevice, source: str, adjustment: SourceAdjustment, now: float) -> Iterator[str]:
    """Of one source; what is adjusted of labels that the model does not have is left out."""
    labels = {name: one for name, one in adjustment.labels.items() if name in device.labels}
    if not adjustment.listen:
        yield f"{source}: switched off"
    elif adjustment.snooze:
        yield f"{source}: {_snoozed(adjustment.snooze, now)}"
    else:
        yield f"{source}: {'adjusted' if labels else 'as configured'}"
    for name, one in labels.items():
        configured = device.configured(source, name)
        what = ", ".join(_parts(one, configured.on if configured else None, now))
        yield readable(f"  {name}: {what}")


def _parts(label: LabelAdjustment, configured: float | None, now: float) -> Iterator[str]:
    if label.threshold is not None:
        yield f"threshold {label.threshold:g}" + ("" if configured is None else f" instead of {configured:g}")
    if not label.report:
        yield "not reported"
    if label.snooze:
        yield _snoozed(label.snooze, now)
    if configured is None:
        yield "which changes nothing: it is not reported as configured"


def _snoozed(snooze: Snooze, now: float) -> str:
    return f"snoozed until {clock_time(snooze.until, now)}"
