"""`asit-edge listen`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asit_edge.cli.shared.options import ConfigOption, ModelOption, stop_on_signals
from asit_edge.cli.shared.talk import talk_never_waiting
from asit_edge.cli.terminal.look import is_terminal, look_at
from asit_edge.config.file import SYSTEM_CONFIG, load_config, load_local, load_with
from asit_edge.config.remote import record_file
from asit_edge.config.sources import MicrophoneSource, StdinSource
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.host.flag import Flag
from asit_edge.host.lines import Lines
from asit_edge.remote.trial import begin_run, roll_back, start_anew

if TYPE_CHECKING:
    from asit_edge.config.root import Config
    from asit_edge.listen.reporter import Output
    from asit_edge.observe.observer import Observer

LAST_LINES = 1.0
"""Seconds that whoever reads our output gets, when listening ends, for what still waits."""


class PcmFormat(str, Enum):
    s16le = "s16le"
    s32le = "s32le"
    f32le = "f32le"
    u8 = "u8"


def listen(
    config: ConfigOption = None,
    model: ModelOption = None,
    microphone: Annotated[
        str | None, typer.Option(help="Number or name of an input device, instead of the configured sources.")
    ] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Raw samples on standard input, instead.")] = False,
    rate: Annotated[int, typer.Option(min=4_000, max=384_000, help="Of standard input, in Hz.")] = 16_000,
    channels: Annotated[int, typer.Option(min=1, max=64, help="Of standard input.")] = 1,
    form: Annotated[PcmFormat, typer.Option("--format", help="Of standard input.")] = PcmFormat.s16le,
    as_json: Annotated[
        bool | None,
        typer.Option(
            "--json/--no-json", help="One event a line, as JSON, or lines for people.", show_default="not in a terminal"
        ),
    ] = None,
) -> None:
    """Listen until stopped; show events, as JSON lines where it is not a terminal, and publish them to the broker."""
    from asit_edge.host.malloc import return_freed_memory

    return_freed_memory()
    from asit_edge.listen.reload import Changes
    from asit_edge.listen.run import listen as run

    if stdin and microphone is not None:
        raise WrongUse("--stdin and --microphone exclude each other: name one source")

    def chosen(settings: "Config") -> "Config":
        if model:
            settings = settings.model_copy(update={"model": model})
        if stdin:
            pipe = {"rate": rate, "channels": channels, "format": form.value}
            return settings.model_copy(update={"sources": [StdinSource.model_validate(pipe)]})
        if microphone is not None:
            device = int(microphone) if microphone.isdecimal() else microphone
            return settings.model_copy(update={"sources": [MicrophoneSource(device=device)]})
        return settings

    changes = Changes(
        read=lambda: chosen(load_config(config)),
        file=config or SYSTEM_CONFIG,
        asked=Flag(),
        tried=lambda wanted: chosen(load_with(wanted, config, os.environ).config),
    )
    record = _from_afar(config)
    settings = changes.read()
    stopping = stop_on_signals(changes.asked.set)
    try:
        with _told(settings, as_json) as (out, observer):
            run(settings, out, stopping.is_set, stopping.wait, observer, changes)
    except AsitEdgeError as error:
        if record is None or stopping.is_set() or not roll_back(record, str(error)):
            raise
        changes.restart.set()
    if changes.restart.is_set() and not stopping.is_set():
        start_anew()


def _from_afar(config: Path | None) -> Path | None:
    """Where it is kept what came from afar, if any may; what was on trial when the run before ended is rolled back."""
    local = load_local(config, os.environ).config
    if not local.remote.enabled:
        return None
    record = record_file(local.store.effective_path)
    begin_run(record)
    return record


@contextmanager
def _told(settings: "Config", as_json: bool | None) -> "Iterator[tuple[Output, Observer | None]]":
    """Where a listener writes its events, and who looks on, for as long as listening must not wait for either."""
    if as_json is None:
        as_json = not is_terminal(sys.stdout)
    if as_json:
        with _never_waiting() as out:
            yield out, None
        return
    if look_at(sys.stdout).moves:
        from asit_edge.cli.terminal.listening import shown_live

        with shown_live(sys.stdout, settings) as told:
            yield told
    else:
        from asit_edge.cli.terminal.listening import shown_plainly

        with _never_waiting() as out, shown_plainly(sys.stdout, out, settings) as told:
            yield told


@contextmanager
def _never_waiting() -> Iterator[Lines]:
    """Standard output, and the log too, for as long as listening must not wait for whoever reads them."""
    # Python has no stdout where a process is started with it closed.
    out = Lines(sys.stdout.fileno() if sys.stdout else os.open(os.devnull, os.O_WRONLY), "stdout")
    with talk_never_waiting():
        try:
            yield out
        finally:
            out.close(LAST_LINES)
