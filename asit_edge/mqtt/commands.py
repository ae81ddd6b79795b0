"""Commands that come over MQTT: from topic and payload to something the listening loop can do, or what is wrong."""

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from asit_edge.messages.report import CommandError
from asit_edge.mqtt.connection import Message
from asit_edge.mqtt.topics import Topics
from asit_edge.validation import nearest

LOWEST, HIGHEST = 0.001, 0.999
"""Of a threshold: beyond them everything would be an event, or nothing."""

MOST_BYTES = 200
"""Of a payload; whatever is longer is no command."""

SHOWN = 100
"""Characters of a bad command's name and payload that its answer repeats."""


class Command(NamedTuple):
    """A command that makes sense. `listen`: value True or False. `threshold`: the score at which `label` starts."""

    source: str
    name: str
    label: str | None
    value: bool | float


class BadCommand(Exception):
    """What was wrong with it, and what would be right."""


def read_message(
    message: Message, topics: Topics, sources: Collection[str], labels: Mapping[str, str]
) -> Command | CommandError | None:
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
    if name == "listen":
        if text not in ("ON", "OFF"):
            raise BadCommand(f"listen must be ON or OFF, not {_short(text)}")
        return Command(source, "listen", None, text == "ON")
    kind, _, slug = name.partition("/")
    if kind != "threshold":
        raise BadCommand(f"no command {_short(name)} (valid: listen, threshold/<label>)")
    if slug not in labels:
        raise BadCommand(f"no label {_short(slug)}{nearest(slug, sorted(labels))}")
    value = float(text) if re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text) else 0.0
    if not 0 < value < 1:
        raise BadCommand(f"a threshold must be a number between 0 and 1, not {_short(text)}")
    if not LOWEST <= value <= HIGHEST:
        raise BadCommand(f"a threshold must be a number from {LOWEST} to {HIGHEST}, such as 0.5, not {_short(text)}")
    return Command(source, "threshold", labels[slug], value)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")
