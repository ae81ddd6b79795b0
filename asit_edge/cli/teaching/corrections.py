"""`asit-edge wrong` and `asit-edge missed`."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from asit_edge.cli.shared import completion
from asit_edge.cli.shared.moments import parse_since
from asit_edge.cli.shared.options import ConfigOption, ModelOption, load_settings
from asit_edge.errors import WrongUse, readable
from asit_edge.validation import nearest

if TYPE_CHECKING:
    from asit_edge.config.root import Config
    from asit_edge.messages.event import Event
    from asit_edge.teach.lessons.teaching import Examples
    from asit_edge.teach.memory import Remembered

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
    settings: "Config", label: str, kind: str, what: str, begin: float, end: float, source: str | None
) -> None:
    from asit_edge.model.bundle import find_bundle, load_bundle
    from asit_edge.teach.lessons.correction import correction, is_label_of, moment
    from asit_edge.teach.lessons.teaching import examples_of, taught_from
    from asit_edge.teach.memory import memory_folder
    from asit_edge.teach.shelf import Shelf
    from asit_edge.teach.space import load_space

    bundle = load_bundle(find_bundle(settings.model))
    space, shelf = load_space(bundle), Shelf()
    own = is_label_of(bundle.manifest, label)
    if own is None and not shelf.knows(label):
        known = [*(one.name for one in shelf.sounds()), *(one.name for one in bundle.manifest.labels)]
        raise WrongUse(
            f"{label!r}: neither a taught sound nor a label of {bundle.manifest.name}{nearest(label, known)}"
        )
    found = moment(memory_folder(), source, bundle.manifest, begin, end)
    if own is None:
        overlay = shelf.overlay(label, bundle.manifest, len(space.axes))
        examples = examples_of(overlay)
        _add(examples, kind, what, found)
        improved = taught_from(overlay.sound.name, examples, overlay.sound.alarms_per_day, bundle.manifest, space)
        shelf.put(improved.sound.model_copy(update={"enabled": overlay.sound.enabled}), improved.arrays)
        heard = f"{improved.quality.heard} of {len(improved.quality.takes)} takes are found by the others"
        print(f"{readable(overlay.sound.name)!r} is corrected: {heard}; {LISTENS}", file=sys.stderr)
        return
    sound, arrays = correction(bundle.manifest, space, own, "wrong" if kind == "wrong" else "missed", found, what)
    shelf.put(sound, arrays)
    print(f"{readable(sound.name)!r} is corrected; {LISTENS}. Take it back with", file=sys.stderr)
    print(f"  asit-edge taught remove {readable(sound.name)!r}", file=sys.stderr)


def _add(examples: "Examples", kind: str, what: str, found: "Remembered") -> None:
    from asit_edge.teach.lessons.teaching import remembered_take

    if kind == "wrong":
        examples.wrong.append(found.directions)
    else:
        remembered_take(examples, what, found.directions)
