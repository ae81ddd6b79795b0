"""YAML that people write: read into plain values, or refused with the line and what is wrong there. Never executed.

What YAML allows and no document of ours needs is refused: keys that are no plain values, a key twice, aliases that go
in circles or grow beyond all measure, characters that no file name, address or topic can have.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from asit_edge.errors import one_line

MOST_NODES = 100_000
"""Values in a document, those that aliases repeat counted each time: some lines could stand for billions."""

DEEPEST = 60
"""Lists and mappings within each other."""

LARGEST = 1 << 63
"""No whole number in a document is as large."""

_CORE = "tag:yaml.org,2002:"
_KINDS = {"int": "whole number", "float": "number", "bool": "true or false", "timestamp": "time"}
_NOTHING = object()


class Unreadable(Exception):
    """What is wrong, and on which line (from 1; None where that is not known). Never the line itself, as it may have a
    secret in it.
    """

    def __init__(self, line: int | None, problem: str) -> None:
        super().__init__(problem if line is None else f"line {line}: {problem}")
        self.line, self.problem = line, problem

    def of(self, file: object) -> str:
        """`file:line: problem`."""
        return f"{file}: {self.problem}" if self.line is None else f"{file}:{self.line}: {self.problem}"


class Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, in which a value that is none of its kind is an error with a line."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Unreadable(self.line + 1, "is nested too deeply")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
            value = _NOTHING
        if value is _NOTHING or (isinstance(value, int) and abs(value) >= LARGEST):
            kind = node.tag.removeprefix(_CORE)
            problem = f"this is no {_KINDS.get(kind, kind)} that can be read"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return value


class PlainLoader(Loader):
    """YAML in which a word is a word and a time is a time: No, on, 22:00 and 0123 are texts, as in YAML 1.2."""


PlainLoader.yaml_implicit_resolvers = {}
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
    PlainLoader.add_implicit_resolver(f"{_CORE}{_kind}", re.compile(f"^(?:{_pattern})$"), _first)


def read_yaml(text: str, kind: type[Loader] = Loader) -> tuple[yaml.Node | None, Any]:
    """The document's root, which knows lines, and what it says; None and None for an empty one. Raises Unreadable."""
    try:
        loader = kind(text)
        root = loader.get_single_node()
        if root is None:
            return None, None
        _check(root)
        return root, loader.construct_document(root)
    except yaml.YAMLError as error:
        raise _unreadable(error) from None


def _unreadable(error: yaml.YAMLError) -> Unreadable:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        if isinstance(error, yaml.reader.ReaderError):
            return Unreadable(None, f"has a character that YAML does not allow (number {error.character})")
        return Unreadable(None, "not valid YAML")
    problem = one_line(error.problem or error.context)
    if "'\\t'" in problem:
        problem = "a tab; YAML is indented with spaces"
    if tag := re.search(r"constructor for the tag '(!\S*)'", problem):
        problem = f"{tag[1]} is not known here; secrets can be in files (password_file) or the environment (${{NAME}})"
    return Unreadable(error.problem_mark.line + 1, f"not valid YAML ({problem})")


def _check(root: yaml.Node) -> None:
    """Raises Unreadable for what YAML allows and nothing here needs."""
    if _size(root, {}) > MOST_NODES:
        raise Unreadable(None, f"has more than {MOST_NODES:,} values (aliases count as what they stand for)")
    for node in _nodes(root):
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        elif isinstance(node, yaml.ScalarNode) and re.search("[\0\ud800-\udfff]", node.value):
            raise Unreadable(node.start_mark.line + 1, "a text has a NUL or half a character (a surrogate) in it")


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Values in a node, itself included. Raises Unreadable where an alias stands for what it is in."""
    if id(node) in known:
        if not known[id(node)]:
            raise Unreadable(node.start_mark.line + 1, "an alias stands for what it is itself a part of")
        return known[id(node)]
    known[id(node)] = 0
    parts: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        parts = node.value
    elif isinstance(node, yaml.MappingNode):
        parts = [part for pair in node.value for part in pair]
    known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def _nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    """Every node once."""
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _check_keys(mapping: yaml.MappingNode) -> None:
    """Of a key that is there twice YAML would silently take the last."""
    lines: dict[str, int] = {}
    for key, _ in mapping.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise Unreadable(line, "a key must be a plain text, not a list or a mapping")
        if key.value in lines and key.tag != f"{_CORE}merge":
            raise Unreadable(
                line,
                f"key {key.value!r} is there twice, first on line {lines[key.value]}; put what belongs to it together, "
                "or leave one out",
            )
        lines[key.value] = line
