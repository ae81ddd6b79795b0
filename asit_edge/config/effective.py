"""What is in force, key by key, and where each value comes from: the default, a line of a file, the environment."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from asit_edge.config.environment import Location
from asit_edge.config.file import Loaded, line_of
from asit_edge.config.secrets import has_secret, host_of, unclear
from asit_edge.validation import dotted

DEFAULT = "default"

HIDDEN = "***"

_SECRET = re.compile(r"^(password|passphrase|secret|token|api_key)$")
_SECRET_OF_SINKS = re.compile(r"^(user|topic|chat)$")
_VARIABLE = re.compile(r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$")
_OPTION_OF_PROGRAM = re.compile(r"--[\w-]+=?|-[A-Za-z]")
_OPTION_OF_FFMPEG = re.compile(r"-[\w:]+")


class Effective(NamedTuple):
    key: str
    value: Any
    """Without what is secret in it."""
    origin: str
    """`default`, `file:line`, or the name of a variable."""

    @property
    def text(self) -> str:
        return json.dumps(self.value, ensure_ascii=False)


def effective(loaded: Loaded) -> Iterator[Effective]:
    """Every key, in the order of config.yaml."""
    for location, value in _leaves(loaded.config.model_dump(mode="json"), ()):
        yield Effective(dotted(location), _shown(location, value), _origin(loaded, location))


def _leaves(value: Any, location: Location) -> Iterator[tuple[Location, Any]]:
    parts: Any = ()
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        parts = enumerate(value)
    if not parts:
        yield location, value
    for part, inner in parts:
        yield from _leaves(inner, (*location, part))


def _origin(loaded: Loaded, location: Location) -> str:
    said = [one for one in loaded.overrides if location[: len(one.location)] == one.location]
    if said:
        return said[-1].variable
    line = line_of(loaded.root, location)
    return DEFAULT if line is None else f"{loaded.file}:{line}"


def _shown(location: Location, value: Any) -> Any:
    name = next(part for part in reversed(location) if isinstance(part, str))
    sink = location[0] == "sinks"
    if isinstance(value, str) and not _VARIABLE.match(value):
        # The path of a webhook's address is often what admits to it.
        if name == "url" and (sink or has_secret(value) or unclear(value)):
            return f"{HIDDEN} ({host_of(value)})"
        return HIDDEN if _SECRET.match(name) or (sink and _SECRET_OF_SINKS.match(name)) else value
    if name == "run" and isinstance(value, list):
        return value[:1] + [_without_value(one, _OPTION_OF_PROGRAM) for one in value[1:]]
    if name == "options" and isinstance(value, list):
        return [_without_value(one, _OPTION_OF_FFMPEG) for one in value]
    return value


def _without_value(word: str, option: re.Pattern[str]) -> str:
    """Which option it is, if it is one; what is said by it may be a secret."""
    found = option.match(word)
    known = found[0] if found else ""
    return word if known == word else f"{known}{HIDDEN}"
