"""The lines at the foot of a terminal: what goes on, then each source's level, state and highest scores. Pure."""

from collections.abc import Mapping, Sequence

from rich.text import Text

from asit_edge.audio.level import FLOOR
from asit_edge.cli.terminal.event_line import MIDDLE, Style, bar, cell, colour_of, event_line
from asit_edge.cli.terminal.watch import Moment, Score, Seen
from asit_edge.errors import readable

QUIETEST = -70.0
"""dBFS at which the bar of a level is empty."""

LOUD, CLIPPING = -12.0, -3.0
"""dBFS from which on a level is yellow, and red."""

NAME = 12
"""Columns of a source's name."""

STATES = {"listening": "green", "muted": "yellow", "starting": "yellow", "recovering": "yellow", "stopped": "yellow"}
"""Colours; any other state is red."""


def foot(moment: Moment, title: str, width: int, most: int, style: Style, now: float) -> list[Text]:
    """At most `most` lines; `now` in seconds since the epoch."""
    sources = meter(moment.sources, width, max(most // 2, 1))
    room = most - len(sources) - 1
    if room < 0:
        return sources[:most]
    events = [event_line(event, width, style, now) for event in moment.going_on]
    if len(events) > room:
        left_out = len(events) - max(room - 1, 0)
        events = [*events[left_out:], Text(f"  and {left_out} more go on", "bright_black")][:room]
    return [*events, heading(title, width), *sources]


def heading(title: str, width: int) -> Text:
    """A rule with words in it."""
    line = Text(f"── {title} ", "bright_black")
    line.append("─" * max(width - line.cell_len, 0))
    return line


def meter(sources: Mapping[str, Seen], width: int, most: int) -> list[Text]:
    """Two lines a source, one where there is no room for two; the first ones where there is none for that."""
    name = min(max((len(one) for one in sources), default=0), NAME if width >= MIDDLE else 8)
    both = 2 * len(sources) <= most
    shown = list(sources.items())
    left_out = 0
    if not both and len(shown) > most:
        left_out = len(shown) - (most - 1)
        shown = shown[: most - 1]
    lines: list[Text] = []
    for source, one in shown:
        lines.append(level_line(source, one, name, width))
        if both:
            lines.append(score_line(one.scores, name, width))
    if left_out:
        lines.append(Text(f"and {left_out} more sources", "bright_black"))
    return lines


def level_line(source: str, seen: Seen, name: int, width: int) -> Text:
    """Its name, how loud it is, and its state where it is not simply listening."""
    colour = "red" if seen.dbfs >= CLIPPING else "yellow" if seen.dbfs >= LOUD else "green"
    words = [] if seen.state in ("", "listening") else [seen.state.replace("_", " ")]
    words += [seen.detail] if seen.detail else []
    level = f"{seen.dbfs:4.0f} dB" if seen.dbfs > FLOOR else "   - dB"
    length = max(min(width - name - len(level) - 4, 30), 4)
    line = Text.assemble(cell(source, name, "bold"), "  ", bar(1 - seen.dbfs / QUIETEST, length, colour), f" {level}")
    return line.append(readable("".join(f"  {one}" for one in words)), STATES.get(seen.state or "listening", "red"))


def score_line(scores: Sequence[Score], name: int, width: int) -> Text:
    """The highest scores now, as many as there is room for; those that have reached their threshold are bold."""
    line = Text(" " * (name + 2))
    for one in scores:
        colour = colour_of(one.label)
        label = cell(one.label, min(len(one.label), 18), f"bold {colour}" if one.alarms else "")
        entry = Text.assemble(label, " ", bar(one.score, 5, colour), f" {one.score:.2f}   ")
        if line.cell_len + entry.cell_len - 3 > width:
            break
        line.append(entry)
    return line
