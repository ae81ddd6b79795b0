"""Raw PCM on standard input: `arecord -t raw ... | asit-edge listen --stdin`."""

import sys

from asit_edge.audio.sources.pcm import Format, PipeReader
from asit_edge.audio.sources.source import Capture
from asit_edge.errors import WrongUse


class StandardInput:
    """There is only one, and when it has ended it is over."""

    live = True
    longest_pause = None

    def __init__(self, name: str, rate: int, channels: int, form: Format) -> None:
        """Raises WrongUse if standard input is a keyboard."""
        self.name = name
        self._shape = (rate, channels, form)
        if sys.stdin is None or sys.stdin.isatty():
            raise WrongUse(
                f"source {name!r}: standard input is a terminal; pipe raw samples into it, for example: "
                f"ffmpeg -i FILE -f {form} -ar {rate} -ac {channels} - | asit-edge listen --stdin"
            )

    def open(self) -> Capture:
        return PipeReader(sys.stdin.fileno(), *self._shape, on_end=lambda: "")
