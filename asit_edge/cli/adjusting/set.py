"""The command line's `asit-edge set threshold | report | snooze | listen | show | reset`."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asit_edge.cli.shared.examples import examples
from asit_edge.cli.shared.moments import parse_duration
from asit_edge.cli.shared.options import ConfigOption, ModelOption, load_settings
from asit_edge.errors import AsitEdgeError, WrongUse, readable
from asit_edge.validation import nearest

if TYPE_CHECKING:
    from asit_edge.cli.adjusting.device import AdjustedDevice

app = typer.Typer(
    help="Adjust what is listened for: at once, also while it listens, and until it is set otherwise.",
    no_args_is_help=True,
    epilog=examples("set"),
    rich_markup_mode=None,
)

LISTENS = "a listener that runs knows it within a second"

LabelArgument = Annotated[str, typer.Argument(help="Of the model (asit-edge model info), or its slug.")]
SourcesOption = Annotated[
    list[str] | None, typer.Option("--source", "-s", help="Only this source; repeat for several. Otherwise all.")
]


@app.command(epilog=examples("set threshold"))
def threshold(
    label: LabelArgument,
    value: Annotated[str, typer.Argument(help="From 0.001 to 0.999, or default: as configured or calibrated.")],
    source: SourcesOption = None,
    config: ConfigOption = None,
    model: ModelOption = None,
) -> None:
    """Set the score at which events of a label begin."""
    wanted = _threshold(value)
    device = _device(config, model)
    name = device.label(label)
    sources = device.reporting(name, source)
    _obey(device, "threshold", sources, name, wanted)
    for one in sources:
        configured = device.configured(one, name)
        on = configured.on if configured else 0.0
        _say(one, name, f"events begin at {on:g}, as configured" if wanted is None else f"events begin at {wanted:g}")
    _say_when()


@app.command(epilog=examples("set report"))
def report(
    label: LabelArgument,
    value: Annotated[str, typer.Argument(help="on or off.")],
    source: SourcesOption = None,
    config: ConfigOption = None,
    model: ModelOption = None,
) -> None:
    """Report a label no more, or again."""
    wanted = _switch(value)
    device = _device(config, model)
    name = device.label(label)
    sources = device.reporting(name, source)
    _obey(device, "report", sources, name, wanted)
    for one in sources:
        _say(one, name, "is reported" if wanted else "is not reported until asit-edge set report switches it on")
    _say_when()


@app.command(epilog=examples("set snooze"))
def snooze(
    duration: Annotated[str, typer.Argument(help="30m, 2h, 1d, at most 7d; off ends it.")],
    label: Annotated[str | None, typer.Option("--label", "-l", help="Only this label; otherwise all of it.")] = None,
    source: SourcesOption = None,
    config: ConfigOption = None,
    model: ModelOption = None,
) -> None:
    """Hear nothing for a while, or not of a label."""
    from asit_edge.adjust.effect import clock_time
    from asit_edge.mqtt.commands import LONGEST_SNOOZE

    now = time.time()
    seconds = 0.0 if duration == "off" else parse_duration(duration, "snooze", 1, LONGEST_SNOOZE)
    device = _device(config, model)
    name = None if label is None else device.label(label)
    sources = device.chosen(source) if name is None else device.reporting(name, source)
    _obey(device, "snooze", sources, name, seconds, now)
    until = f"snoozed until {clock_time(now + seconds, now)}" if seconds else "not snoozed any more"
    for one in sources:
        _say(one, name, until)
    _say_when()


@app.command(epilog=examples("set listen"))
def listen(
    value: Annotated[str, typer.Argument(help="on or off.")],
    source: SourcesOption = None,
    config: ConfigOption = None,
    model: ModelOption = None,
) -> None:
    """Switch a source off until it is switched on."""
    wanted = _switch(value)
    device = _device(config, model)
    sources = device.chosen(source)
    _obey(device, "listen", sources, None, wanted)
    for one in sources:
        _say(one, None, "is listened to" if wanted else "is switched off until asit-edge set listen switches it on")
    _say_when()


@app.command(epilog=examples("set show"))
def show(
    config: ConfigOption = None,
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One source a line, as on MQTT.")] = False,
) -> None:
    """Show what differs from the configuration."""
    from asit_edge.adjust.adjustments import awake
    from asit_edge.adjust.effect import report as told
    from asit_edge.adjust.effect import strangers
    from asit_edge.cli.adjusting.shown import lines

    device, now = _device(config, model), time.time()
    try:
        adjustments = awake(device.file.read(), now)
    except AsitEdgeError as error:
        raise AsitEdgeError(f"{error}; repair it, or begin anew with asit-edge set reset") from None
    for name in device.sources:
        adjustment = adjustments.of(name)
        if as_json:
            print(told(device.name, name, adjustment, device.labels).to_json())
        else:
            print("\n".join(lines(device, name, adjustment, now)))
    for stranger in strangers(adjustments, device.sources, device.labels):
        print(readable(f"nothing comes of {stranger}; asit-edge set reset removes it"), file=sys.stderr)


@app.command(epilog=examples("set reset"))
def reset(
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", help="Only this label; repeat for several. Otherwise all.")
    ] = None,
    source: SourcesOption = None,
    config: ConfigOption = None,
    model: ModelOption = None,
) -> None:
    """Go back to what is configured, of everything or of some labels or sources."""
    from asit_edge.adjust.adjustments import Adjustments, as_configured
    from asit_edge.cli.adjusting.device import known_label

    device = _device(config, model)
    found: list[Adjustments] = []

    def change(before: Adjustments) -> Adjustments:
        adjusted = {name for one in before.sources.values() for name in one.labels}
        known = [*device.labels, *sorted(adjusted - set(device.labels))]
        labels = [known_label(name, known) for name in label] if label else None
        found.append(before)
        return as_configured(before, _named(source, [*device.sources, *before.sources]), labels)

    after = device.change(change)
    print("as configured again" if after != found[0] else "nothing of that was adjusted", file=sys.stderr)
    if after != found[0]:
        _say_when()


def _named(sources: list[str] | None, known: Sequence[str]) -> Sequence[str]:
    for name in sources or []:
        if name not in known:
            raise WrongUse(f"no source {name!r}{nearest(name, list(dict.fromkeys(known)))}")
    return sources or known


def _device(config: Path | None, model: Path | None) -> "AdjustedDevice":
    from asit_edge.cli.adjusting.device import AdjustedDevice

    return AdjustedDevice(load_settings(config, model))


def _obey(
    device: "AdjustedDevice",
    name: str,
    sources: Sequence[str],
    label: str | None,
    value: bool | float | None,
    now: float = 0.0,
) -> None:
    from asit_edge.adjust.adjustments import Adjustments, obeyed
    from asit_edge.mqtt.commands import Command

    def change(adjustments: Adjustments) -> Adjustments:
        for source in sources:
            adjustments = obeyed(adjustments, Command(source, name, label, value), now)
        return adjustments

    device.change(change)


def _threshold(text: str) -> float | None:
    from asit_edge.mqtt.commands import HIGHEST, LOWEST

    if text == "default":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not LOWEST <= value <= HIGHEST:
        raise WrongUse(f"threshold {text!r}: must be a number from {LOWEST} to {HIGHEST}, or default")
    return value


def _switch(text: str) -> bool:
    if text.lower() not in ("on", "off"):
        raise WrongUse(f"{text!r}: must be on or off")
    return text.lower() == "on"


def _say(source: str, label: str | None, what: str) -> None:
    print(readable(f"{source}, {label}: {what}" if label else f"{source}: {what}"), file=sys.stderr)


def _say_when() -> None:
    print(LISTENS, file=sys.stderr)
