"""An event as one line for people: when, how sure, what, where, how long. Pure; fits a terminal of any width."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rich.text import Text

from asit_edge.errors import readable
from asit_edge.messages.event import Event

Clock = Callable[[float], str]
"""Seconds since the epoch as eight characters for people."""

Part = str | tuple[str, str] | Text

COLOURS = (
    *("cyan", "green", "magenta", "yellow"),
    *("#d7875f", "#5f87d7", "#af5fd7", "#00af87", "#d75f87", "#87af5f", "#5fafd7"),
)
"""Of labels: a label's colour is the same wherever and whenever it is shown. Neither too dark nor too light to be read;
a terminal of few colours shows its own that is nearest."""

WIDE, MIDDLE = 72, 52
"""Columns from which on there is room for a long bar, and for a score in digits."""

SOURCE, DURATION = 12, 7
"""Columns of a source's name, and of a duration."""


@dataclass(frozen=True)
class Style:
    """How events are written."""

    clock: Clock
    sources: bool = True
    """Whether it is worth telling which source heard it."""


def local_time(epoch: float) -> str:
    """By this machine's zone."""
    return datetime.fromtimestamp(epoch).strftime("%H:%M:%S")


def position(epoch: float) -> str:
    """In a recording of which nobody knows when it began: from its first sample."""
    minutes, seconds = divmod(max(epoch, 0.0), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:02d}:{minutes:02d}:{int(seconds):02d}" if hours else f"{minutes:02d}:{seconds:05.2f}"


def span(seconds: float) -> str:
    """A duration in few characters."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d}" if hours else f"{minutes}:{rest:02d}"


def colour_of(label: str) -> str:
    return COLOURS[zlib.crc32(label.encode("utf-8", "replace")) % len(COLOURS)]


def bar(share: float, width: int, colour: str) -> Text:
    """A bar from 0 to 1, so many columns wide, in steps of half a column."""
    halves = round(min(max(share, 0.0), 1.0) * 2 * width)
    full = "█" * (halves // 2) + "▌" * (halves % 2)
    return Text.assemble((full, colour), ("░" * (width - len(full)), "bright_black"))


def cell(words: str, width: int, style: str = "") -> Text:
    """So many columns, whatever the words: filled up, or cut with an ellipsis."""
    text = Text(readable(words), style)
    text.truncate(max(width, 1), overflow="ellipsis", pad=True)
    return text


def event_line(event: Event, width: int, style: Style, now: float | None = None) -> Text:
    """`now`, in seconds since the epoch, for an event that goes on: how long it has lasted by then."""
    colour = colour_of(event.label)
    lasting = event.duration if event.duration is not None else max((now or 0.0) - event.onset_epoch, 0.0)
    parts: list[Part] = [
        ("● " if event.type != "end" else "  ", colour),
        (f"{style.clock(event.onset_epoch):<8} ", "bright_black"),
        bar(event.peak, 10 if width >= WIDE else 4, colour),
        f" {event.peak:.2f}  " if width >= MIDDLE else " ",
    ]
    tail: list[Part] = []
    if style.sources and width >= MIDDLE:
        tail += [" ", cell(event.source, SOURCE, "bright_black")]
    known = event.type == "end" or now is not None
    tail.append((f"{span(lasting) if known else 'begins':>{DURATION}}", "bold" if event.type == "end" else colour))
    head, rest = Text.assemble(*parts), Text.assemble(*tail)
    room = width - head.cell_len - rest.cell_len
    label = Text(readable(event.label), f"bold {colour}")
    if event.also:
        label.append(readable(f" + {', '.join(event.also)}"), "bright_black")
    label.truncate(max(room, 8), overflow="ellipsis", pad=True)
    return Text.assemble(head, label, rest)
