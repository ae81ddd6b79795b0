"""`asit-edge listen`."""

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Annotated

import typer

from asit_edge.cli.shared.options import ConfigOption, ModelOption, load_settings, stop_on_signals
from asit_edge.config.file import SYSTEM_CONFIG
from asit_edge.config.root import Config
from asit_edge.config.sources import MicrophoneSource, StdinSource
from asit_edge.errors import WrongUse
from asit_edge.host.lines import Lines

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
) -> None:
    """Listen until stopped; print events as JSON lines and publish them to the configured broker."""
    from asit_edge.host.malloc import return_freed_memory

    return_freed_memory()
    from asit_edge.listen.reload import Changes
    from asit_edge.listen.run import listen as run

    if stdin and microphone is not None:
        raise WrongUse("--stdin and --microphone exclude each other: name one source")

    def read() -> Config:
        settings = load_settings(config, model)
        if stdin:
            pipe = {"rate": rate, "channels": channels, "format": form.value}
            return settings.model_copy(update={"sources": [StdinSource.model_validate(pipe)]})
        if microphone is not None:
            device = int(microphone) if microphone.isdecimal() else microphone
            return settings.model_copy(update={"sources": [MicrophoneSource(device=device)]})
        return settings

    settings, changes = read(), Changes(read, config or SYSTEM_CONFIG, threading.Event())
    stopping = stop_on_signals(changes.asked.set)
    with _never_waiting() as out:
        run(settings, out, stopping.is_set, stopping.wait, changes)


@contextmanager
def _never_waiting() -> Iterator[Lines]:
    """Standard output, and the log too, for as long as listening must not wait for whoever reads them."""
    # Python has no stdout where a process is started with it closed.
    out = Lines(sys.stdout.fileno() if sys.stdout else os.open(os.devnull, os.O_WRONLY), "stdout")
    handlers = [one for one in logging.getLogger().handlers if isinstance(one, logging.StreamHandler)]
    streams = [one.stream for one in handlers]
    talk = [Lines(stream.fileno(), "stderr", telling=False) for stream in streams if hasattr(stream, "fileno")]
    if len(talk) == len(handlers):
        for handler, lines in zip(handlers, talk, strict=True):
            handler.setStream(lines)
    try:
        yield out
    finally:
        out.close(LAST_LINES)
        for lines in talk:
            lines.close(LAST_LINES)
        for handler, stream in zip(handlers, streams, strict=True):
            handler.setStream(stream)
