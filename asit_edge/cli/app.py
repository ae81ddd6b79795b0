"""The command line: `asit-edge listen | replay | tag | teach | taught | wrong | missed | calibrate | subscribe | ...`.

Each command has a module of its own here. Exit codes: 0 done, 1 it could not be done, 2 it was asked for wrongly.
Errors are one line on stderr.
"""

import errno
import io
import logging
import os
import sys
from typing import Annotated

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy loads: its products here are too small to share

import typer

from asit_edge import __version__
from asit_edge.cli import demo, devices, events, listen, model, refused, replay, schema, subscribe, tag
from asit_edge.cli.adjusting import set as adjusting
from asit_edge.cli.care import doctor
from asit_edge.cli.models import labels
from asit_edge.cli.notifying import notify
from asit_edge.cli.recordings import clips
from asit_edge.cli.setup import config, health, init, service
from asit_edge.cli.shared.examples import examples
from asit_edge.cli.teaching import calibrate, corrections, taught, teach
from asit_edge.errors import AsitEdgeError, readable

app = typer.Typer(
    help="Listens for sounds and tells over MQTT what it heard.",
    no_args_is_help=True,
    epilog=examples(""),
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


for command in (
    listen.listen,
    replay.replay,
    tag.tag,
    teach.teach,
    corrections.wrong,
    corrections.missed,
    calibrate.calibrate,
    subscribe.subscribe,
    events.events,
    refused.refused,
    schema.schema,
    devices.devices,
    doctor.doctor,
    labels.labels,
    demo.demo,
    init.init,
    health.health,
):
    app.command(epilog=examples(command.__name__))(command)
app.add_typer(model.app, name="model")
app.add_typer(taught.app, name="taught")
app.add_typer(notify.app, name="notify")
app.add_typer(clips.app, name="clips")
app.add_typer(adjusting.app, name="set")
app.add_typer(config.app, name="config")
app.add_typer(service.app, name="service")


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
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Lines("asit-edge: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    logging.addLevelName(logging.WARNING, "warning")
    logging.getLogger("asit_edge").setLevel(logging.DEBUG if verbose else logging.INFO)


class _Lines(logging.Formatter):
    """One line a message, whatever the names in it."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return readable(super().formatMessage(record))


def main() -> None:
    """The console script."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # what it is given is JSON, or names as people gave them
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        _run()
    except AsitEdgeError as error:
        print(f"asit-edge: error: {readable(error)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in _OUTPUT_FAILS:
            raise
        _discard_output()
        if error.errno != errno.EPIPE:
            print(f"asit-edge: error: standard output cannot be written ({error.strerror})", file=sys.stderr)
            sys.exit(1)
        sys.exit(0)  # whoever read it has gone (`| head`); nothing is wrong on this side


_OUTPUT_FAILS = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}


def _run() -> None:
    try:
        app()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer takes it for a failure
            raise end.__context__ from None
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where it can still be said that it failed
        raise


def _discard_output() -> None:
    """What is still in buffers goes nowhere, or leaving would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
