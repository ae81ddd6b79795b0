"""Texts with styles as the characters that a terminal takes; in others than UTF-8, without block characters."""

import io

from rich.console import Console
from rich.text import Text

from asit_edge.cli.terminal.look import Look

ASCII = str.maketrans({"█": "#", "▌": "+", "░": ".", "●": "*", "─": "-", "·": ",", "…": "~"})


class Ink:
    """For one look; any width."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._console: Console | None = None

    def render(self, text: Text, width: int) -> str:
        """One line of at most so many columns."""
        console = self._console_for(width)
        text = text.copy()
        text.truncate(max(width, 1), overflow="ellipsis")
        with console.capture() as capture:
            console.print(text, end="", no_wrap=True, overflow="crop", crop=True)
        shown = capture.get()
        return shown if self._look.blocks else shown.translate(ASCII)

    def wrap(self, text: Text, width: int) -> list[Text]:
        """A text as lines of at most so many columns."""
        return list(text.wrap(self._console_for(width), max(width, 1), overflow="fold"))

    def encode(self, shown: str) -> bytes:
        """As bytes of the terminal's encoding; what that lacks becomes a question mark."""
        return shown.encode(self._look.encoding, "replace")

    def _console_for(self, width: int) -> Console:
        if self._console is None or self._console.width != width:
            self._console = Console(
                file=io.StringIO(),
                force_terminal=self._look.colours,
                width=max(width, 1),
                highlight=False,
                markup=False,
                emoji=False,
                legacy_windows=False,
            )
        return self._console
