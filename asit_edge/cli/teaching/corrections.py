"""`asit-edge wrong` and `asit-edge missed`."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from asit_edge.cli.shared import completion
from asit_edge.cli.shared.moments import parse_since
from asit_edge.cli.shared.options import ConfigOption, ModelOption, load_settings
from asit_edge.errors import WrongUse, readable

if TYPE_CHECKING:
    from asit_edge.config.root import Config
    from asit_edge.messages.event import Event
    from asit_edge.teach.lessons.amending import Kind

LISTENS = "a listener that runs knows it within seconds"


def wrong(
    event: Annotated[str, typer.Argument(help="Its id, or the beginning of it (asit-edge events --json).")],
    config: ConfigOption = None,
    model: ModelOption = None,
) -> None:
    """Say that an event was not what it was called: what sounds like it is not called so any more."""
    settings = load_settings(config, model)
    found = stored_event(settings, event)
    begin, end = span_of(found)
    _correct(settings, found.label, "wrong", f"event {found.id}", begin, end, found.source)


def missed(
    label: Annotated[
        str,
        typer.Argument(
            help="What should have been heard: a taught sound, or a label.", autocompletion=completion.labels
        ),
    ],
    at: Annotated[str, typer.Option("--at", help="When: ISO 8601, or 5m, 2h ago.")],
    seconds: Annotated[float, typer.Option(min=0.3, max=30.0, help="How long it sounded.")] = 2.0,
    source: Annotated[str | None, typer.Option(help="Which source, where there are several.")] = None,
    config: ConfigOption = None,
    model: ModelOption = None,
) -> None:
    """Say that a sound was there and nothing was reported: what sounds like it is called so from then on."""
    settings = load_settings(config, model)
    begin = parse_since(at, time.time(), "--at")
    _correct(settings, label, "missed", f"missed at {at}", begin, begin + seconds, source)


def stored_event(settings: "Config", wanted: str) -> "Event":
    """The last state of an event by the beginning of its id. Raises WrongUse where there is none, or several."""
    from asit_edge.store.history import history

    found = {event.id: event for event in history(settings.store.effective_path) if event.id.startswith(wanted)}
    if len(wanted) < 4 or not found:
        raise WrongUse(f"no event {wanted!r} is stored; asit-edge events --json --since 1d shows ids")
    if len(found) > 1:
        raise WrongUse(f"{len(found)} events begin with {wanted!r}: give more of the id")
    return next(iter(found.values()))


def span_of(event: "Event") -> tuple[float, float]:
    """When it sounded, in seconds since the epoch."""
    return event.onset_epoch, event.onset_epoch + max(event.duration or 0.0, 0.3)


def _correct(
    settings: "Config", label: str, kind: "Kind", what: str, begin: float, end: float, source: str | None
) -> None:
    from asit_edge.model.bundle import find_bundle, load_bundle
    from asit_edge.teach.lessons.amending import amend

    done = amend(load_bundle(find_bundle(settings.model)), label, kind, what, begin, end, source)
    name = readable(done.name)
    if done.heard is not None:
        heard = f"{done.heard} of {done.takes} takes are found by the others"
        print(f"{name!r} is corrected: {heard}; {LISTENS}", file=sys.stderr)
        return
    print(f"{name!r} is corrected; {LISTENS}. Take it back with", file=sys.stderr)
    print(f"  asit-edge taught remove {name!r}", file=sys.stderr)
