"""Events as a subscriber receives them, one coloured line a message, under the topic that it came by."""

from collections.abc import Callable
from typing import TextIO

from rich.text import Text

from asit_edge.cli.terminal.event_line import MIDDLE, bar, cell, colour_of, position
from asit_edge.cli.terminal.ink import Ink
from asit_edge.cli.terminal.look import look_at, size_of
from asit_edge.errors import readable
from asit_edge.messages.event import Event


def coloured(stream: TextIO) -> Callable[[str, Event], str]:
    """A topic and its event to a line for that terminal, as wide as it is then."""
    ink = Ink(look_at(stream))

    def line(topic: str, event: Event) -> str:
        width = size_of(stream.fileno()).columns - 1
        return ink.render(topic_line(topic, event, width), width)

    return line


def topic_line(topic: str, event: Event, width: int) -> Text:
    """When and what first, where the terminal is too narrow for all of it."""
    colour = colour_of(event.label)
    lasted = f"{event.duration:6.1f} s" if event.duration is not None else ""
    line = Text.assemble(
        (f"{position(event.onset_epoch)} ", "bright_black"),
        (f"{event.type:<6} ", "bold" if event.type == "end" else colour),
        bar(event.peak, 10 if width >= MIDDLE else 4, colour),
        (f" {event.peak:.2f}  ", ""),
        cell(event.label, 28 if width >= MIDDLE else 14, f"bold {colour}"),
        f"{lasted:<9} ",
    )
    return line.append(readable(topic), "bright_black") if width >= MIDDLE else line
