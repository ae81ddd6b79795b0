"""`asit-edge notify test`."""

import sys
import time
import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from asit_edge.cli.shared.examples import examples
from asit_edge.cli.shared.options import ConfigOption
from asit_edge.config.file import load_config
from asit_edge.errors import AsitEdgeError, WrongUse, readable
from asit_edge.validation import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asit_edge.config.notifications import SinkSettings
    from asit_edge.config.root import Config
    from asit_edge.messages.event import Event

app = typer.Typer(
    help="Notifications, and other sinks.",
    no_args_is_help=True,
    epilog=examples("notify"),
    rich_markup_mode=None,
)


@app.command("test", epilog=examples("notify test"))
def send_example(
    sink: Annotated[
        str | None, typer.Argument(help="Name of a sink, of any type; without it all that notify people.")
    ] = None,
    config: ConfigOption = None,
    label: Annotated[str | None, typer.Option(help="Of which sound; without it the first that the sink gets.")] = None,
) -> None:
    """Send an example event to a sink at once, whatever holds others back, and say what came of it."""
    settings = load_config(config)
    failed = 0
    for one in chosen(settings, sink):
        event = example(settings, one, label)
        try:
            print(f"{one.name}: {_sent(one, event)}", flush=True)
        except WrongUse:
            raise
        except AsitEdgeError as problem:
            failed += 1
            print(f"asit-edge: {one.name}: {readable(problem)}", file=sys.stderr)
        if (reason := _held_back(one, event)) is not None:
            print(f"asit-edge: {one.name}: a real one would be held back now: {reason}", file=sys.stderr)
    if failed:
        raise AsitEdgeError(f"{failed} sink(s) have not taken the example")


def chosen(settings: "Config", name: str | None) -> "Sequence[SinkSettings]":
    """The sink of that name, or all that notify people. Raises WrongUse where there is none."""
    from asit_edge.config.notifications import Notification

    if name is None:
        found = [one for one in settings.sinks if isinstance(one, Notification)]
        if not found:
            raise WrongUse("the configuration has no sink of the type ntfy, pushover, telegram or apprise")
        return found
    named = [one for one in settings.sinks if one.name == name]
    if not named:
        names = [one.name for one in settings.sinks]
        raise WrongUse(f"there is no sink {name!r}{nearest(name, names) if names else ' (the configuration has none)'}")
    return named


def example(settings: "Config", sink: "SinkSettings", label: str | None) -> "Event":
    """An event as such a sink would get it now."""
    from asit_edge.audio.clock import iso
    from asit_edge.labels import slug
    from asit_edge.messages.event import Event, ModelName

    name = label or (sink.labels[0] if sink.labels else "Test of notifications")
    kind, now = sink.types[0], time.time()
    return Event(
        schema=1,
        type=kind,
        id=str(uuid.uuid4()),
        device=settings.device_name,
        source=settings.sources[0].name,
        label=name,
        label_id=slug(name),
        score=0.9,
        peak=0.9,
        onset=iso(now),
        offset=iso(now) if kind == "end" else None,
        duration=2.0 if kind == "end" else None,
        onset_epoch=now,
        latency_ms=0,
        seq=0,
        replayed=False,
        clip=None,
        model=ModelName(name="example", version="0"),
    )


def _held_back(sink: "SinkSettings", event: "Event") -> str | None:
    from asit_edge.config.notifications import Notification
    from asit_edge.deliver.notify.gate import quiet

    return quiet(sink, event, time.time()) if isinstance(sink, Notification) else None


def _sent(sink: "SinkSettings", event: "Event") -> str:
    """Raises WrongUse, Unavailable or Refused."""
    from asit_edge.config.notifications import Notification
    from asit_edge.deliver.notify.notifier import open_notifier
    from asit_edge.deliver.opening import open_sink

    if isinstance(sink, Notification):
        notifier = open_notifier(sink)
        notifier.tell(event)
        return f"{notifier.service.name} has taken it; is it on your phone?"
    open_sink(sink)(event.to_json())
    return "has taken it"
