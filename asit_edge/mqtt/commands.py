"""Commands that come over MQTT: from topic and payload to something the listening loop can do, or what is wrong."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Literal, NamedTuple

from asit_edge.messages.report import CommandError
from asit_edge.mqtt.connection import Message
from asit_edge.mqtt.topics import Topics
from asit_edge.validation import nearest

LOWEST, HIGHEST = 0.001, 0.999
"""Of a threshold: beyond them everything would be an event, or nothing."""

LONGEST_SNOOZE = 7 * 86_400
"""Seconds: what is switched off for longer is not snoozed but forgotten."""

LONGEST_AGO = 86_400
"""Seconds since a sound that was missed."""

MOST_BYTES = 200
"""Of a payload; whatever is longer is no command."""

SHOWN = 100
"""Characters of a bad command's name and payload that its answer repeats."""


class Command(NamedTuple):
    """A command that makes sense, about a source or about a label (its display name) of it.

    `listen`: True or False. `threshold`: the score at which events of the label start, None for the configured one.
    `report`: False mutes the label until True. `snooze`: for so many seconds from now the label, or without one the
    whole source, is muted; 0 ends that.
    """

    source: str
    name: str
    label: str | None
    value: bool | float | None


class Correction(NamedTuple):
    """What was heard, or was not, is put right: the event of that id was not what it was called (`wrong`), or the label
    (its display name) sounded so many seconds ago, and was `missed`."""

    source: str
    kind: Literal["wrong", "missed"]
    event: str = ""
    label: str = ""
    ago: float = 0.0


class BadCommand(Exception):
    """What was wrong with it, and what would be right."""


def read_message(
    message: Message, topics: Topics, sources: Collection[str], labels: Mapping[str, str]
) -> Command | Correction | CommandError | None:
    """What a message asks for, or the answer to a command that makes no sense; None if it is no command at all.

    `labels` maps slugs to names.
    """
    parsed = topics.parse_command(message.topic)
    if parsed is None:
        return None
    source, name = parsed
    try:
        if message.retained:
            raise BadCommand("commands must not be retained: this one would be obeyed again at every connection")
        if name.partition("/")[0] in ("wrong", "missed"):
            return read_correction(source, name, message.payload, sources, labels)
        return read_command(source, name, message.payload, sources, labels)
    except BadCommand as bad:
        return answer(topics, source, name, message.payload, str(bad))


def answer(topics: Topics, source: str, name: str, payload: bytes, error: str) -> CommandError:
    """To a command that is not obeyed: what is wrong with it."""
    text = payload[: 4 * SHOWN].decode("utf-8", errors="replace")[:SHOWN]
    return CommandError(schema=1, device=topics.device, source=source, command=name[:SHOWN], payload=text, error=error)


def read_command(
    source: str, name: str, payload: bytes, sources: Collection[str], labels: Mapping[str, str]
) -> Command:
    """`labels` maps slugs to names. Raises BadCommand."""
    if source not in sources:
        raise BadCommand(f"no source {_short(source)}{nearest(source, sorted(sources))}")
    text = payload[: MOST_BYTES + 1].decode("utf-8", errors="replace").strip()
    kind, _, slug = name.partition("/")
    if name in ("listen", "snooze"):
        value: bool | float | None = _switch(name, text) if name == "listen" else _seconds(text)
        return Command(source, name, None, value)
    if kind not in _OF_LABELS:
        raise BadCommand(f"no command {_short(name)} (valid: {_VALID})")
    if slug not in labels:
        raise BadCommand(f"no label {_short(slug)}{nearest(slug, sorted(labels))}")
    return Command(source, kind, labels[slug], _OF_LABELS[kind](text))


def read_correction(
    source: str, name: str, payload: bytes, sources: Collection[str], labels: Mapping[str, str]
) -> Correction:
    """`wrong`, or `missed/<label>`; `labels` maps slugs to names. Raises BadCommand."""
    if source not in sources:
        raise BadCommand(f"no source {_short(source)}{nearest(source, sorted(sources))}")
    text = payload[: MOST_BYTES + 1].decode("utf-8", errors="replace").strip()
    if name == "wrong":
        if not re.fullmatch(r"[0-9a-f-]{8,64}", text):
            raise BadCommand(f"wrong needs the id of an event, as its messages have it, not {_short(text)}")
        return Correction(source, "wrong", event=text)
    kind, _, slug = name.partition("/")
    if kind != "missed" or not slug:
        raise BadCommand(f"no command {_short(name)} (valid: {_VALID})")
    if slug not in labels:
        raise BadCommand(f"no label {_short(slug)}{nearest(slug, sorted(labels))}")
    ago = _number(text)
    if ago is None or not 0 <= ago <= LONGEST_AGO:
        raise BadCommand(f"missed needs how many seconds ago it was, from 0 to {LONGEST_AGO}, not {_short(text)}")
    return Correction(source, "missed", label=labels[slug], ago=ago)


def _switch(name: str, text: str) -> bool:
    if text not in ("ON", "OFF"):
        raise BadCommand(f"{name} must be ON or OFF, not {_short(text)}")
    return text == "ON"


def _seconds(text: str) -> float:
    value = _number(text)
    if value is None or not (value == 0 or 1 <= value <= LONGEST_SNOOZE):
        raise BadCommand(
            f"a snooze must be a number of seconds from 1 to {LONGEST_SNOOZE}, such as 1800, or 0 to end it, "
            f"not {_short(text)}"
        )
    return value


def _threshold(text: str) -> float | None:
    if text == "default":
        return None
    value = _number(text) or 0.0
    if not 0 < value < 1:
        raise BadCommand(f"a threshold must be a number between 0 and 1, not {_short(text)}")
    if not LOWEST <= value <= HIGHEST:
        raise BadCommand(f"a threshold must be a number from {LOWEST} to {HIGHEST}, such as 0.5, not {_short(text)}")
    return value


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text) else None


_OF_LABELS: dict[str, Callable[[str], bool | float | None]] = {
    "threshold": _threshold,
    "report": lambda text: _switch("report", text),
    "snooze": _seconds,
}

_VALID = ", ".join(("listen", "snooze", *(f"{kind}/<label>" for kind in _OF_LABELS), "wrong", "missed/<label>"))


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")
