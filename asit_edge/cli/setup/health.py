"""`asit-edge health`."""

from typing import Annotated

import typer

from asit_edge.cli.shared.options import ConfigOption
from asit_edge.config.file import load_config
from asit_edge.errors import AsitEdgeError, readable


def health(
    config: ConfigOption = None,
    within: Annotated[float, typer.Option(min=15, help="Seconds since the listener gave a sign of life.")] = 60.0,
    heard: Annotated[
        float | None, typer.Option(min=15, help="Also unwell if no source was heard within so many seconds.")
    ] = None,
) -> None:
    """Say whether the listener with this configuration lives; exit code 1 if not. For containers and watchdogs."""
    from asit_edge.setup.health import health as state

    found = state(load_config(config), within, heard)
    if not found.well:
        raise AsitEdgeError(found.sentence)
    print(readable(found.sentence))
