"""The command line's `asit-edge taught list | rename | on | off | remove | export | import`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asit_edge.cli.shared import completion
from asit_edge.cli.shared.examples import examples
from asit_edge.cli.shared.options import ConfigOption, ModelOption, load_settings
from asit_edge.errors import WrongUse, readable

if TYPE_CHECKING:
    from asit_edge.model.bundle import Bundle
    from asit_edge.teach.overlay import TaughtSound

app = typer.Typer(
    help="The sounds that were taught on this device.",
    epilog=examples("taught"),
    no_args_is_help=True,
    rich_markup_mode=None,
)

NameArgument = Annotated[str, typer.Argument(help="Of the taught sound.", autocompletion=completion.taught)]


@app.command("list", epilog=examples("taught list"))
def show(
    config: ConfigOption = None,
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One sound a line, as JSON.")] = False,
) -> None:
    """Show what was taught, whether it is used, and how good it was found to be."""
    from asit_edge.teach.shelf import Shelf

    bundle, count = _bundle(config, model), 0
    for sound in Shelf().sounds():
        count += 1
        state = _state(sound, bundle)
        if as_json:
            print(json.dumps({**sound.model_dump(mode="json"), "state": state}, ensure_ascii=False))
        else:
            quality, heard = sound.quality, sum(take.heard for take in sound.takes)
            print(
                f"{readable(sound.name):<28} {state:<18} {len(sound.takes):>3} takes, {heard} heard by the others, "
                f"AP {quality.average_precision:.2f}, {quality.taken_for_it} of {quality.negatives} others taken for it"
            )
    if not count and not as_json:
        print('nothing is taught; begin with asit-edge teach "Front doorbell" FILE FILE FILE', file=sys.stderr)


@app.command(epilog=examples("taught rename"))
def rename(name: NameArgument, new: Annotated[str, typer.Argument(help="Its new name.")]) -> None:
    """Give a taught sound another name."""
    from asit_edge.teach.lessons.teaching import check_name
    from asit_edge.teach.shelf import Shelf

    check_name(new, _bundle(None, None))
    Shelf().rename(name, new)


@app.command(epilog=examples("taught on"))
def on(name: NameArgument) -> None:
    """Use it again."""
    _switch(name, True)


@app.command(epilog=examples("taught off"))
def off(name: NameArgument) -> None:
    """Keep it, but do not use it."""
    _switch(name, False)


@app.command(epilog=examples("taught remove"))
def remove(name: NameArgument) -> None:
    """Forget it."""
    from asit_edge.teach.shelf import Shelf

    Shelf().remove(name)


@app.command(epilog=examples("taught export"))
def export(name: NameArgument, file: Annotated[Path, typer.Argument(help="To write.")]) -> None:
    """Write it into one file, for another device with the same model."""
    from asit_edge.teach.shelf import Shelf

    if file.exists():
        raise WrongUse(f"{file}: exists; name another file")
    Shelf().export(name, file)


@app.command("import", epilog=examples("taught import"))
def bring_in(
    file: Annotated[Path, typer.Argument(help="Written by asit-edge taught export.")],
    config: ConfigOption = None,
    model: ModelOption = None,
) -> None:
    """Take over a sound that was taught on another device."""
    from asit_edge.teach.lessons.teaching import check_name
    from asit_edge.teach.shelf import Shelf
    from asit_edge.teach.space import load_axes

    bundle = _bundle(config, model)
    sound = Shelf().bring_in(file, len(load_axes(bundle)), bundle.manifest, lambda name: check_name(name, bundle))
    print(f"{readable(sound.name)!r} is known now", file=sys.stderr)


def _switch(name: str, enabled: bool) -> None:
    from asit_edge.teach.shelf import Shelf

    shelf = Shelf()
    shelf.change(shelf.find(name).model_copy(update={"enabled": enabled}))


def _bundle(config: Path | None, model: Path | None) -> "Bundle":
    from asit_edge.model.bundle import find_bundle, load_bundle

    return load_bundle(find_bundle(load_settings(config, model).model))


def _state(sound: "TaughtSound", bundle: "Bundle") -> str:
    from asit_edge.model.key import model_key

    if sound.model.sha256 != model_key(bundle.manifest).sha256:
        return "of another model"
    return "used" if sound.enabled else "switched off"
