"""`asit-edge listen` for people: live in a terminal, or line by line."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TextIO

from asit_edge.cli.terminal.event_line import Style, local_time
from asit_edge.cli.terminal.ink import Ink
from asit_edge.cli.terminal.look import is_terminal, look_at, size_of
from asit_edge.cli.terminal.plain import WIDTH, PlainLines, date_and_time
from asit_edge.cli.terminal.tally import Tally
from asit_edge.cli.terminal.view import live
from asit_edge.cli.terminal.watch import Moment
from asit_edge.config.root import Config
from asit_edge.detect.class_settings import class_settings
from asit_edge.host.lines import Lines
from asit_edge.listen.reporter import Output
from asit_edge.model.bundle import Manifest
from asit_edge.observe.observer import Observer


class Nowhere:
    """An output for what is shown otherwise."""

    def write(self, text: str, /) -> int:
        return len(text)

    def flush(self) -> None: ...


def title_of(moment: Moment, seconds: float) -> str:
    """What stands over the meter after so many seconds."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    lasted = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    gaps = f" · {moment.gaps} gap{'s' if moment.gaps > 1 else ''}" if moment.gaps else ""
    return f"{lasted} · {moment.begun} event{'s' if moment.begun != 1 else ''}{gaps} · Ctrl+C ends"


@contextmanager
def shown_live(stream: TextIO, config: Config) -> Iterator[tuple[Output, Observer]]:
    """What a listener is to be given, so that the terminal shows it."""
    began = time.monotonic()

    def title(moment: Moment) -> str:
        return title_of(moment, time.monotonic() - began)

    names = [source.name for source in config.sources]
    style = Style(local_time, sources=len(names) > 1)
    with live(stream, title, style, thresholds_of(config), names) as watch:
        yield Nowhere(), watch


@contextmanager
def shown_plainly(stream: TextIO | None, out: Lines, config: Config) -> Iterator[tuple[Output, Observer]]:
    """What a listener is to be given, so that `out`, which writes to `stream`, has a line when an event begins or ends;
    at the end one more of what it has come to."""
    look, tally = look_at(stream), Tally()
    terminal = is_terminal(stream)
    width = size_of(stream.fileno()).columns - 1 if stream is not None and terminal else WIDTH
    clock = local_time if terminal else date_and_time
    lines = PlainLines(out, Ink(look), Style(clock, sources=len(config.sources) > 1), width)
    yield lines, tally
    if tally.seconds:
        if terminal:
            lines.say("")  # behind ^C, which the terminal shows
        lines.say(tally.summary())


def thresholds_of(config: Config) -> Callable[[Manifest], Mapping[str, Sequence[float | None]]]:
    """By source, and for a recording (""): at which score each class begins, None where it is not reported."""

    def thresholds(manifest: Manifest) -> dict[str, list[float | None]]:
        every = {"": class_settings(config.events, manifest)}
        for index, source in enumerate(config.sources):
            where = f"sources[{index}].events"
            every[source.name] = class_settings(config.events, manifest, source.events, where)
        return {name: [one.on if one else None for one in classes] for name, classes in every.items()}

    return thresholds
