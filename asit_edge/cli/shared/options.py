"""What several commands have in common: options, the settings that they lead to, signals to stop."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from asit_edge.cli.shared import completion
from asit_edge.config.file import load_config
from asit_edge.config.root import Config
from asit_edge.host.flag import Flag

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file; without it /etc/asit-edge/config.yaml."),
]


ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model",
        "-m",
        help="Directory of a model bundle, or the name of one in the package.",
        autocompletion=completion.bundles,
    ),
]


def stop_on_signals(on_hangup: Callable[[], None] | None = None) -> Flag:
    """Raised when this process is asked to end, or when the terminal that it belongs to goes away.

    Without a terminal (a service) a SIGHUP is what `on_hangup` makes of it; after `nohup` it means nothing.
    """
    stopping = Flag()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        stops = _has_terminal()
        hangup = stopping.set if stops else on_hangup or (lambda: None)
        signal.signal(signal.SIGHUP, lambda *_: hangup())
    return stopping


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def load_settings(config: Path | None, model: Path | None) -> Config:
    settings = load_config(config)
    return settings.model_copy(update={"model": model}) if model else settings
