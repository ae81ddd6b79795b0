"""Events as lines for people where nothing can be written over: a file, a pipe, a terminal without a moving cursor."""

from datetime import datetime

from asit_edge.cli.terminal.event_line import Style, event_line
from asit_edge.cli.terminal.ink import Ink
from asit_edge.host.lines import Lines
from asit_edge.messages.event import Event

WIDTH = 100
"""Columns of a line in a file."""


def date_and_time(epoch: float) -> str:
    """By this machine's zone: a file is read on another day."""
    return datetime.fromtimestamp(epoch).isoformat(" ", "seconds")


class PlainLines:
    """Takes events as JSON lines, as a listener writes them, and gives `out` a line when one begins or ends."""

    def __init__(self, out: Lines, ink: Ink, style: Style, width: int = WIDTH) -> None:
        self._out, self._ink, self._style, self._width = out, ink, style, width
        self._rest = ""

    def write(self, text: str) -> int:
        """Raises BrokenPipeError, once, when the reader has gone away."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            event = Event.model_validate_json(line)
            if event.type != "update":
                self.say(self._ink.render(event_line(event, self._width, self._style), self._width))
        return len(text)

    def say(self, line: str) -> None:
        """A line of another kind."""
        self._out.write(f"{line.rstrip()}\n")

    def flush(self) -> None:
        """Nothing: it goes as soon as it can."""
