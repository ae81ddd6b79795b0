"""Reads config.yaml, and settings of other kinds that people write: an error names file, line and key."""

import codecs
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from asit_edge.config.root import Config
from asit_edge.errors import WrongUse
from asit_edge.validation import explain
from asit_edge.yaml_text import PlainLoader, Unreadable, read_yaml

Settings = TypeVar("Settings", bound=BaseModel)

SYSTEM_CONFIG = Path("/etc/asit-edge/config.yaml")

MOST = 1 << 20
"""Bytes of a configuration."""

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def load_config(path: Path | None) -> Config:
    """The configuration in `path`, or in /etc/asit-edge/config.yaml if that exists, or else the defaults.

    Raises WrongUse, naming file, line and key.
    """
    if path is None:
        if not SYSTEM_CONFIG.is_file():
            return Config()
        path = SYSTEM_CONFIG
    return read_settings(path, Config, "the config.yaml that comes with asit-edge")


def read_settings(path: Path, model: type[Settings], example: str) -> Settings:
    """What a YAML file of any settings says; an empty one says nothing. `example` is one to go by.

    Raises WrongUse, naming file, line and key.
    """
    root: Any = None
    try:
        root, values = read_yaml(_read(path), PlainLoader)
        if not isinstance(values, dict | None):
            raise WrongUse(f"{path}: must be a mapping of keys to values, like {example}")
        return model.model_validate(values or {})
    except Unreadable as error:
        raise WrongUse(error.of(path)) from None
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        if root is None:
            raise WrongUse(f"{path}: {explain(error, model)}") from None
        node, line = _find(root, problem["loc"])
        raise WrongUse(f"{path}:{line}: {explain(error, model)}{_quotes(node, problem['type'])}") from None


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
