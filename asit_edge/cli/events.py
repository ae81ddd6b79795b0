"""`asit-edge events`."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from asit_edge.cli.shared import completion
from asit_edge.cli.shared.moments import parse_since
from asit_edge.cli.shared.options import ConfigOption, stop_on_signals
from asit_edge.config.file import load_config
from asit_edge.config.root import Config

if TYPE_CHECKING:
    from asit_edge.messages.event import Event


def events(
    config: ConfigOption = None,
    since: Annotated[str | None, typer.Option(help="30m, 12h, 7d ago, or an ISO 8601 time.")] = None,
    label: Annotated[str | None, typer.Option(help="Only this label.", autocompletion=completion.labels)] = None,
    source: Annotated[str | None, typer.Option(help="Only this source.", autocompletion=completion.sources)] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line, as JSON.")] = False,
) -> None:
    """Read the events that are stored on this device."""
    from asit_edge.messages.lines import describe
    from asit_edge.store.history import history

    settings = load_config(config)
    path = settings.store.effective_path
    start = parse_since(since, time.time()) if since is not None else None
    stopping = stop_on_signals() if follow else None
    going_on = (lambda: not stopping.is_set()) if stopping else None
    for event in history(path, since=start, label=label, source=source, follow=going_on):
        print(event.to_json() if as_json else describe(_as_it_is(event, settings)), flush=follow)


def _as_it_is(event: "Event", settings: Config) -> "Event":
    """Without a clip that was never written, or is gone."""
    from asit_edge.clips.shelf import ClipShelf

    if event.clip is None:
        return event
    name = "/".join(event.clip.split("/")[-3:])
    there = ClipShelf(settings.clips.effective_folder).at(name)
    return event if there else event.model_copy(update={"clip": None})
