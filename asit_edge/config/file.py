"""Reads config.yaml, with what the environment says instead, and settings of other kinds that people write.

An error names file, line and key, or the variable.
"""

import codecs
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from asit_edge.config.environment import PREFIX, Override, laid_over, overrides
from asit_edge.config.remote import Wanted, forbidden, overrides_of, read_record, record_file
from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.validation import explain
from asit_edge.yaml_text import PlainLoader, Unreadable, read_yaml

log = logging.getLogger(__name__)

Settings = TypeVar("Settings", bound=BaseModel)

SYSTEM_CONFIG = Path("/etc/asit-edge/config.yaml")

MOST = 1 << 20
"""Bytes of a configuration."""

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class Loaded(NamedTuple):
    """A configuration, and what it was made of."""

    config: Config
    file: Path | None
    """None: there is none, so what the environment does not say is the default."""
    root: yaml.Node | None
    """Of the file; knows lines."""
    overrides: Sequence[Override]


def load_config(path: Path | None) -> Config:
    """The configuration in `path`, or in /etc/asit-edge/config.yaml if that exists, or else the defaults; variables
    of the environment go before.

    Raises WrongUse, naming file, line and key, or the variable.
    """
    return load_layers(path, os.environ).config


def load_layers(path: Path | None, environment: Mapping[str, str]) -> Loaded:
    """The same, with what came from where, and from afar. Raises WrongUse, as `load_config`.

    What came from afar and does not fit the file any more is left out, and that is logged.
    """
    loaded = load_local(path, environment)
    if not loaded.config.remote.enabled:
        return loaded
    try:
        wanted = read_record(record_file(loaded.config.store.effective_path)).wanted
        return load_with(wanted, path, environment)
    except AsitEdgeError as error:
        log.warning("what came from afar is left out: %s", error)
        return loaded


def load_local(path: Path | None, environment: Mapping[str, str]) -> Loaded:
    """The same, without what came from afar."""
    return load_with(None, path, environment)


def load_with(wanted: Wanted | None, path: Path | None, environment: Mapping[str, str]) -> Loaded:
    """The same, with this from afar. Raises WrongUse also where it does not fit."""
    if path is None and SYSTEM_CONFIG.is_file():
        path = SYSTEM_CONFIG
    root, values = (None, {}) if path is None else _document(path, "the config.yaml that comes with asit-edge")
    given = overrides(environment, Config)
    if wanted:
        local = _validated(path, root, values, given).config
        if keys := forbidden(wanted, local.remote):
            raise WrongUse(f"{', '.join(keys)}: cannot be set from afar here; remote.allow has what can be")
        given = [*overrides_of(wanted, values, local.store.effective_path), *given]
    return _validated(path, root, values, given)


def _validated(
    path: Path | None, root: yaml.Node | None, values: Mapping[str, Any], given: Sequence[Override]
) -> Loaded:
    """Raises WrongUse, naming file, line and key, or where else it comes from."""
    given = list(given)
    while True:
        try:
            merged = laid_over(values, given, Config().model_dump(mode="json")) if given else values
            return Loaded(Config.model_validate(merged), path, root, given)
        except ValidationError as error:
            place = _responsible(error.errors(include_url=False)[0], given)
            if place is None:
                raise _mistake(error, Config, path, root) from None
            one = given[place]
            plain = isinstance(one.value, str) or not one.variable.startswith(PREFIX)
            if plain or error.errors()[0]["type"] not in ("string_type", "path_type"):
                where = f"environment: {one.variable}" if one.variable.startswith(PREFIX) else one.variable
                raise WrongUse(f"{where}: {explain(error, Config)}") from None
            given[place] = one._replace(value=one.text.strip())  # a name that looks like a number is a name


def read_settings(path: Path, model: type[Settings], example: str) -> Settings:
    """What a YAML file of any settings says; an empty one says nothing. `example` is one to go by.

    Raises WrongUse, naming file, line and key.
    """
    root, values = _document(path, example)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _mistake(error, model, path, root) from None


def line_of(root: yaml.Node | None, location: Sequence[int | str]) -> int | None:
    """On which line of its file a key stands; None where the file does not have it."""
    line = None
    for part in location:
        if isinstance(root, yaml.MappingNode):
            found = next(((key, value) for key, value in root.value if _names(key, part)), None)
            if found is None:
                return None
            line, root = found[0].start_mark.line + 1, found[1]
        elif isinstance(root, yaml.SequenceNode) and isinstance(part, int) and part < len(root.value):
            root = root.value[part]
            line = root.start_mark.line + 1
        else:
            return None
    return line


def _document(path: Path, example: str) -> tuple[yaml.Node | None, dict[str, Any]]:
    """Raises WrongUse, naming file and line."""
    try:
        root, values = read_yaml(_read(path), PlainLoader)
    except Unreadable as error:
        raise WrongUse(error.of(path)) from None
    if not isinstance(values, dict | None):
        raise WrongUse(f"{path}: must be a mapping of keys to values, like {example}")
    return root, values or {}


def _responsible(problem: ErrorDetails, given: Sequence[Override]) -> int | None:
    """Which of the variables says what is wrong: the most special one whose key that is, or is in."""
    place = [part for part in problem["loc"] if isinstance(part, int) or part in _keys_of(given)]
    fitting = [number for number, one in enumerate(given) if tuple(place[: len(one.location)]) == one.location]
    return max(fitting, key=lambda number: len(given[number].location), default=None)


def _keys_of(given: Sequence[Override]) -> set[int | str]:
    return {part for one in given for part in one.location}


def _mistake(error: ValidationError, model: type[BaseModel], path: Path | None, root: yaml.Node | None) -> WrongUse:
    problem = error.errors(include_url=False)[0]
    if path is None or root is None:
        return WrongUse(f"{path or 'environment'}: {explain(error, model)}")
    node, line = _find(root, problem["loc"])
    return WrongUse(f"{path}:{line}: {explain(error, model)}{_quotes(node, problem['type'])}")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
    except OSError as error:
        raise WrongUse(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:  # a NUL in the name
        raise WrongUse(f"{path}: no file can have such a name") from None
    if len(content) > MOST:
        raise WrongUse(f"{path}: is larger than {MOST >> 20} MB, which no configuration is; is it the right file?")
    mark = next((mark for mark in _MARKS if content.startswith(mark)), b"")
    try:
        return content[len(mark) :].decode(_MARKS.get(mark, "utf-8"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise WrongUse(f"{path}:{line}: has a character that is not UTF-8; save the file as UTF-8") from None


def _find(node: Any, location: tuple[int | str, ...]) -> tuple[Any, int]:
    """What the file has at a location, or its innermost part that the file has, and the line on which that stands."""
    line = node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if _names(key, part)]
            if not found:
                continue  # a union's tag is part of the location but not of the file
            key, node = found[0]
            line = key.start_mark.line + 1
            if location[-1] == "[key]" and part == location[-2]:
                return key, line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return node, line


def _names(key: yaml.Node, part: int | str) -> bool:
    if key.value == str(part):
        return True
    return isinstance(part, int) and isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:str"


def _quotes(node: Any, problem: str) -> str:
    """The remedy where YAML takes for a number or a switch what was meant as a text."""
    if problem not in ("string_type", "literal_error", "invalid_key") or not isinstance(node, yaml.ScalarNode):
        return ""
    if node.tag == "tag:yaml.org,2002:str" or node.style is not None or node.tag.endswith(":null"):
        return ""
    return f' (in quotes it is a text: "{node.value}")'
