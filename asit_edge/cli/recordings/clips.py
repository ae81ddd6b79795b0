"""The command line's `asit-edge clips list | path | remove | prune`."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asit_edge.cli.shared.examples import examples
from asit_edge.cli.shared.moments import parse_since
from asit_edge.cli.shared.options import ConfigOption
from asit_edge.config.file import load_config
from asit_edge.errors import AsitEdgeError, WrongUse

if TYPE_CHECKING:
    from asit_edge.clips.names import Clip
    from asit_edge.clips.shelf import ClipShelf

app = typer.Typer(
    help="The recordings of events that were kept on this device (clips in config.yaml).",
    no_args_is_help=True,
    epilog=examples("clips"),
    rich_markup_mode=None,
)

SinceOption = Annotated[str | None, typer.Option(help="30m, 12h, 7d ago, or an ISO 8601 time.")]
LabelOption = Annotated[str | None, typer.Option(help="Only this label.")]
SourceOption = Annotated[str | None, typer.Option(help="Only this source.")]


@app.command("list", epilog=examples("clips list"))
def show(
    config: ConfigOption = None,
    since: SinceOption = None,
    label: LabelOption = None,
    source: SourceOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One clip a line, as JSON.")] = False,
) -> None:
    """Show the clips, the newest first."""
    begin = parse_since(since, time.time()) if since is not None else None
    for clip in _chosen(_shelf(config), label, source):
        if begin is not None and clip.begin < begin:
            continue
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clip.begin))
        if as_json:
            print(json.dumps({**clip._asdict(), "begin": moment}))
        else:
            print(f"{moment}  {clip.source:<16} {clip.label:<30} {clip.event}  {clip.size / 1e3:8.1f} kB")


@app.command(epilog=examples("clips path"))
def path(
    event: Annotated[str, typer.Argument(help="Id of the event, or its first eight digits.")],
    config: ConfigOption = None,
) -> None:
    """Print where the clip of an event is."""
    shelf = _shelf(config)
    print(shelf.folder / _of(shelf, event)[0].name)


@app.command(epilog=examples("clips remove"))
def remove(
    events: Annotated[list[str] | None, typer.Argument(help="Ids of events, or their first eight digits.")] = None,
    config: ConfigOption = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    label: LabelOption = None,
    source: SourceOption = None,
    before: Annotated[str | None, typer.Option(help="Only older ones: 12h, 7d, or an ISO 8601 time.")] = None,
) -> None:
    """Remove clips for good: those of some events, of a label, of a source, older ones, or all."""
    shelf = _shelf(config)
    chosen = everything or label is not None or source is not None or before is not None
    if chosen == bool(events):
        raise WrongUse("name events, or else say which clips with --label, --source and --before, or --all")
    if events:
        _remove(shelf, [clip for event in events for clip in _of(shelf, event)])
        return
    until = parse_since(before, time.time(), "--before") if before is not None else float("inf")
    _remove(shelf, [clip for clip in _chosen(shelf, label, source) if clip.begin < until])


@app.command(epilog=examples("clips prune"))
def prune(config: ConfigOption = None) -> None:
    """Remove what is beyond clips.max_days, clips.max_mb and clips.min_free_mb, as a listener does by itself."""
    from asit_edge.clips.shelf import Bounds

    settings, shelf = load_config(config).clips, _shelf(config)
    bounds = Bounds(settings.max_days, settings.max_mb * 1e6, settings.min_free_mb * 1e6)
    try:
        gone = shelf.prune(bounds, time.time())
    except OSError as error:
        raise _refused(shelf, error) from None
    _say(gone)


def _shelf(config: Path | None) -> "ClipShelf":
    from asit_edge.clips.shelf import ClipShelf

    return ClipShelf(load_config(config).clips.effective_folder)


def _chosen(shelf: "ClipShelf", label: str | None, source: str | None) -> list["Clip"]:
    from asit_edge.clips.names import label_slug

    wanted = label_slug(label) if label is not None else None
    return [
        clip
        for clip in _readable(shelf)
        if (wanted in (None, clip.label)) and (source is None or clip.source == source)
    ]


def _of(shelf: "ClipShelf", event: str) -> list["Clip"]:
    """Raises WrongUse where an event has no clip."""
    clips = shelf.of(event) if _readable(shelf) else []
    if not clips:
        raise WrongUse(
            f"{shelf.folder}: no clip of an event {event!r}; asit-edge clips list shows those that there are"
        )
    return clips


def _readable(shelf: "ClipShelf") -> list["Clip"]:
    """All clips. Raises AsitEdgeError where there may be some that this user must not see."""
    try:
        next(shelf.folder.iterdir(), None)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _refused(shelf, error) from None
    return shelf.clips()


def _remove(shelf: "ClipShelf", clips: list["Clip"]) -> None:
    gone = []
    try:
        for clip in clips:
            if shelf.remove(clip):
                gone.append(clip)
    except OSError as error:
        raise _refused(shelf, error) from None
    finally:
        _say(gone)


def _say(gone: list["Clip"]) -> None:
    for clip in gone:
        print(clip.name)
    print(f"{len(gone)} clip(s) removed, {sum(clip.size for clip in gone) / 1e6:.1f} MB")


def _refused(shelf: "ClipShelf", error: OSError) -> AsitEdgeError:
    return AsitEdgeError(
        f"{shelf.folder}: {error.strerror}; only the user as whom asit-edge listen runs may look into it and change it"
    )
