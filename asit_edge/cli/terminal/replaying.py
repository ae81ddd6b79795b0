"""`asit-edge replay` in a terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import typer

from asit_edge.cli.terminal.event_line import Style, local_time, position
from asit_edge.cli.terminal.listening import thresholds_of
from asit_edge.cli.terminal.tally import in_words
from asit_edge.cli.terminal.view import live
from asit_edge.cli.terminal.watch import Moment
from asit_edge.config.root import Config
from asit_edge.errors import readable
from asit_edge.observe.observer import Observer

INTERRUPTED = 130
"""Exit code of what Ctrl+C has ended, as a shell has it."""


@contextmanager
def shown_live(stream: TextIO, config: Config, name: str, *, dated: bool) -> Iterator[Observer]:
    """What the replay is to be given. `dated`: it is known when the recording began, so times are of the day."""
    began = time.monotonic()

    def title(moment: Moment) -> str:
        times = moment.heard / max(time.monotonic() - began, 1e-3)
        return f"{readable(name)} · {in_words(moment.heard)} heard, {times:.0f} times real time · Ctrl+C ends"

    def so_far(moment: Moment) -> float:
        return max((one.until for one in moment.sources.values()), default=0.0)

    style = Style(local_time if dated else position, sources=False)
    try:
        with live(stream, title, style, thresholds_of(config), now=so_far, dated=dated, patient=True) as watch:
            yield watch
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
