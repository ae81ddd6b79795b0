"""The command line: `asit-edge listen | replay | subscribe | events | tag | model | devices | schema | demo`.

Each command has a module of its own here. Exit codes: 0 done, 1 it could not be done, 2 it was asked for wrongly.
Errors are one line on stderr.
"""

import logging
import os
import sys
from typing import Annotated

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy loads: its products here are too small to share

import typer

from asit_edge import __version__
from asit_edge.cli import demo, devices, events, listen, model, replay, schema, subscribe, tag
from asit_edge.errors import AsitEdgeError

app = typer.Typer(
    help="Listens for sounds and tells over MQTT what it heard.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


for command in (
    listen.listen,
    replay.replay,
    tag.tag,
    subscribe.subscribe,
    events.events,
    schema.schema,
    devices.devices,
    demo.demo,
):
    app.command()(command)
app.add_typer(model.app, name="model")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"asit-edge {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    # On a descriptor of its own: PortAudio's initialisation points standard error at /dev/null for as long as it takes.
    stream = os.fdopen(os.dup(2), "w", buffering=1, errors="replace")
    logging.basicConfig(stream=stream, level=logging.INFO, format="asit-edge: %(message)s")
    logging.addLevelName(logging.WARNING, "warning")
    logging.getLogger("asit_edge").setLevel(logging.DEBUG if verbose else logging.INFO)


def main() -> None:
    """The console script."""
    try:
        app()
    except AsitEdgeError as error:
        print(f"asit-edge: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); nothing is wrong on this side.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
