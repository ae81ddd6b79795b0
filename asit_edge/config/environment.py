"""Keys of config.yaml from the environment: `ASIT_EDGE__MQTT__HOST` is `mqtt.host`, and goes before the file. Pure.

Values are read as in config.yaml: `null`, `true` and numbers are what they look like, lists and mappings are YAML, and
everything else is a text as it stands. A variable that is empty counts as not set, as container managers leave it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, get_args, get_origin

import yaml
from pydantic import BaseModel

from asit_edge.config.section import Section
from asit_edge.errors import WrongUse
from asit_edge.validation import dotted, nearest
from asit_edge.yaml_text import PlainLoader, Unreadable, read_yaml

PREFIX = "ASIT_EDGE__"

Location = tuple[int | str, ...]


class Override(NamedTuple):
    """What one variable says about one key."""

    variable: str
    location: Location
    value: Any
    text: str
    """As it stands in the environment."""


def overrides(environment: Mapping[str, str], model: type[BaseModel]) -> list[Override]:
    """Those for keys of a configuration, the more general first. Raises WrongUse, naming the variable."""
    found = []
    for variable, text in environment.items():
        if variable.startswith(PREFIX) and text.strip():
            location = _location(variable, model)
            found.append(Override(variable, location, _value(variable, text), text))
    return sorted(found, key=lambda one: (len(one.location), one.variable))


def laid_over(values: Mapping[str, Any], given: Sequence[Override], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a file with those of the environment in their places; `defaults` are for lists that it lacks.

    Raises WrongUse for a place beyond the end of a list.
    """
    whole = _copied(values)
    for one in given:
        _put(whole, one, defaults)
    return whole


def variable_of(location: Sequence[int | str]) -> str:
    """The name under which a key is taken from the environment."""
    return PREFIX + "__".join(str(part).upper() for part in location)


def _location(variable: str, model: type[BaseModel]) -> Location:
    """Raises WrongUse for a key that there is not."""
    kinds: list[Any] = [model]
    location: Location = ()
    for part in variable.removeprefix(PREFIX).split("__"):
        models = [kind for kind in kinds if _is_model(kind)]
        lists = [kind for kind in kinds if get_origin(kind) is list]
        key = part.lower()
        if part.isdecimal() and lists:
            kinds = [inner for kind in lists for inner in _kinds(get_args(kind)[0])]
            location += (int(part),)
        elif any(key in one.model_fields for one in models):
            kinds = [
                inner for one in models if key in one.model_fields for inner in _kinds(one.model_fields[key].annotation)
            ]
            location += (key,)
        elif models:
            names = sorted({variable_of((*location, name)) for one in models for name in one.model_fields})
            raise WrongUse(f"environment: there is no key for {variable}{nearest(variable, names)}")
        else:
            raise WrongUse(
                f"environment: {variable}: {dotted(location)} has no keys of its own here; give all of it as YAML in "
                f"{variable_of(location)}"
            )
    sections = [kind for kind in kinds if _is_model(kind)]
    if sections and isinstance(location[-1], str):
        one = variable_of((*location, next(iter(sections[0].model_fields))))
        raise WrongUse(f"environment: {variable}: {dotted(location)} is a section; set its keys, such as {one}")
    return location


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _kinds(annotation: Any) -> list[Any]:
    """The members of a union, without what pydantic knows of them beside their type."""
    origin = get_origin(annotation)
    if origin in (list, dict) or not get_args(annotation):
        return [annotation]
    if hasattr(annotation, "__metadata__"):
        return _kinds(get_args(annotation)[0])
    return [inner for member in get_args(annotation) for inner in _kinds(member)]


def _value(variable: str, text: str) -> Any:
    """Raises WrongUse where a list or mapping cannot be read."""
    bare = text.strip()
    written = bare[0] in "[{\"'" or "\n" in bare
    try:
        root, value = read_yaml(bare, PlainLoader)
    except Unreadable as error:
        if written:
            raise WrongUse(f"environment: {variable}: {error.problem}") from None
        return bare
    plain = isinstance(root, yaml.ScalarNode) and root.tag != "tag:yaml.org,2002:str"
    return value if written or plain else bare


def _put(whole: dict[str, Any], one: Override, defaults: Mapping[str, Any]) -> None:
    node: Any = whole
    for depth, part in enumerate(one.location):
        last = depth + 1 == len(one.location)
        if isinstance(part, str):
            if not isinstance(node, dict):
                return  # the file has something else there, which is told as a mistake of the file
            if last:
                node[part] = one.value
            elif node.get(part) is None:
                node[part] = _default(defaults, one.location[: depth + 1], one.location[depth + 1])
            node = node[part]
            continue
        if not isinstance(node, list):
            return
        if part > len(node):
            where, following = dotted(one.location[:depth]), variable_of((*one.location[:depth], len(node)))
            raise WrongUse(f"environment: {one.variable}: {where} has {len(node)} entries; the next one is {following}")
        if part == len(node):
            node.append({})
        if last:
            node[part] = one.value
        node = node[part]


def _default(defaults: Mapping[str, Any], location: Location, following: int | str) -> Any:
    if isinstance(following, str):
        return {}
    node: Any = defaults
    for part in location:
        node = node.get(part) if isinstance(node, dict) else None
    return _copied(node) if isinstance(node, list) else []


def _copied(value: Any) -> Any:
    """Without parts that two places share, as aliases of YAML leave them."""
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value
