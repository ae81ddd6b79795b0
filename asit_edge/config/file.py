"""Reads config.yaml: an error names file, line and key."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from asit_edge.config.root import Config
from asit_edge.errors import WrongUse, one_line
from asit_edge.validation import explain

SYSTEM_CONFIG = Path("/etc/asit-edge/config.yaml")

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class _Loader(yaml.SafeLoader):
    """YAML in which a word is a word and a time is a time: No, on, 22:00 and 0123 are texts, as in YAML 1.2."""


_Loader.yaml_implicit_resolvers = {}
for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))"
        r"|\.(?:nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), _first)


def load_config(path: Path | None) -> Config:
    """The configuration in `path`, or in /etc/asit-edge/config.yaml if that exists, or else the defaults.

    Raises WrongUse, naming file, line and key.
    """
    if path is None:
        if not SYSTEM_CONFIG.is_file():
            return Config()
        path = SYSTEM_CONFIG
    text = _read(path)
    try:
        root = yaml.compose(text, Loader=_Loader)
        _refuse_repeated_keys(path, root)
        values = yaml.load(text, Loader=_Loader)
        if values is None:
            return Config()
        if not isinstance(values, dict):
            raise WrongUse(
                f"{path}: must be a mapping of keys to values, like the config.yaml that comes with asit-edge"
            )
        return Config.model_validate(values)
    except yaml.YAMLError as error:
        raise WrongUse(f"{path}{_what_is_wrong(error)}") from None
    except RecursionError:
        raise WrongUse(f"{path}: is nested too deeply for a configuration") from None
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        node, line = _find(root, problem["loc"])
        raise WrongUse(f"{path}:{line}: {explain(error, Config)}{_quotes(node, problem['type'])}") from None


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WrongUse(f"{path}: cannot be read ({error.strerror})") from None
    mark = next((mark for mark in _MARKS if content.startswith(mark)), b"")
    try:
        return content[len(mark) :].decode(_MARKS.get(mark, "utf-8"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise WrongUse(f"{path}:{line}: has a character that is not UTF-8; save the file as UTF-8") from None


def _what_is_wrong(error: yaml.YAMLError) -> str:
    """Line and problem. Never the line itself, as it may have a secret in it."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        if isinstance(error, yaml.reader.ReaderError):
            return f": has a character that YAML does not allow (number {error.character})"
        return ": not valid YAML"
    problem = one_line(error.problem or error.context)
    if "'\\t'" in problem:
        problem = "a tab; YAML is indented with spaces"
    if tag := re.search(r"constructor for the tag '(!\S*)'", problem):
        problem = f"{tag[1]} is not known here; secrets can be in files (password_file) or the environment (${{NAME}})"
    return f":{error.problem_mark.line + 1}: not valid YAML ({problem})"


def _refuse_repeated_keys(path: Path, root: yaml.Node | None) -> None:
    """YAML would silently take the last one."""
    for mapping in _mappings(root):
        lines: dict[str, int] = {}
        for key, _ in mapping.value:
            line = key.start_mark.line + 1
            if key.value in lines and key.tag != "tag:yaml.org,2002:merge":
                raise WrongUse(
                    f"{path}:{line}: key {key.value!r} is there twice, first on line {lines[key.value]}; put what "
                    "belongs to it together, or leave one out"
                )
            if isinstance(key.value, str):
                lines[key.value] = line


def _mappings(root: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield node
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


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
