"""Settings of a run from the command line (`--set key=value`) and from YAML files, put into configurations.

Pre-training's configuration is a pydantic model, those of fine-tuning and distillation are dataclasses: both are
changed here, and what is wrong is named in one line.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from asit_edge.errors import WrongUse
from asit_edge.validation import nearest

Model = TypeVar("Model", bound=BaseModel)
Config = TypeVar("Config")


def parse_settings(pairs: Iterable[str]) -> dict[str, Any]:
    """`key=value` pairs, the values as in YAML ("0.5", "true", "null") and 1e-4 as a number. WrongUse names a pair."""
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise WrongUse(f"--set {pair}: must be key=value")
        try:
            number = _number(value)
            settings[key.strip()] = yaml.safe_load(value) if number is None else number
        except yaml.YAMLError:
            raise WrongUse(f"--set {pair}: the value is not YAML") from None
    return settings


def read_settings(file: Path) -> dict[str, Any]:
    """The `key: value` lines of a YAML file. WrongUse names the file."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongUse(f"{file}: cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        raise WrongUse(f"{file}: is not YAML ({error})") from None
    if not isinstance(content, dict):
        raise WrongUse(f"{file}: must hold key: value lines")
    return content


def checked(kind: type[Model], values: Mapping[str, Any]) -> Model:
    """A pydantic configuration with these values. WrongUse names each wrong key."""
    try:
        return kind(**values)
    except ValidationError as error:
        raise WrongUse("; ".join(_in_words(entry, kind) for entry in error.errors())) from None


def changed(config: Config, settings: Mapping[str, Any], fixed: Iterable[str] = ()) -> Config:
    """A dataclass with some keys changed, all but the `fixed` ones; `part.KEY` reaches into a dataclass inside it.

    WrongUse names an unknown key, or a value that is not like the old one.
    """
    known = _keys(config, fixed)
    parts: dict[str, dict[str, Any]] = {}
    for key, value in settings.items():
        if key not in known:
            raise WrongUse(f"--set {key}: unknown{nearest(key, sorted(known))}")
        try:
            new = _like(known[key], value)
        except (TypeError, ValueError):
            raise WrongUse(f"--set {key}={value}: must be like {known[key]!r}") from None
        part, _, name = key.rpartition(".")
        parts.setdefault(part, {})[name] = new
    own = parts.pop("", {})
    inner = {part: replace(getattr(config, part), **values) for part, values in parts.items()}
    return replace(config, **own, **inner)  # type: ignore[type-var]


def _keys(config: Any, fixed: Iterable[str] = ()) -> dict[str, Any]:
    """The value of every key that may be set."""
    keys: dict[str, Any] = {}
    for name in {entry.name for entry in fields(config)} - set(fixed):
        value = getattr(config, name)
        keys |= {f"{name}.{key}": old for key, old in _keys(value).items()} if is_dataclass(value) else {name: value}
    return keys


def _like(old: Any, value: Any) -> Any:
    """`value` as the type of `old`; YAML reads 1e-4 as a string."""
    if isinstance(old, bool):
        if not isinstance(value, bool):
            raise TypeError
        return value
    if isinstance(old, int | float):
        if isinstance(value, bool) or value is None:
            raise TypeError
        number = float(value)
        if isinstance(old, float):
            return number
        if number != int(number):
            raise ValueError
        return int(number)
    if isinstance(old, tuple):
        return tuple(float(entry) for entry in value)
    if old is None and isinstance(value, float) and value == int(value):
        return int(value)
    return value


def _number(text: str) -> float | None:
    """Numbers that YAML 1.1 takes for strings: 1e-4."""
    try:
        value = float(text)
    except ValueError:
        return None
    return None if text.lstrip("+-").isdigit() or not math.isfinite(value) else value


def _in_words(entry: Any, kind: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in entry["loc"])
    if entry["type"] == "extra_forbidden":
        return f"{key}: no such setting; there are {', '.join(kind.model_fields)}"
    if entry["type"] == "missing":
        return f"{key}: must be given"
    return (
        f"{key or 'settings'}: {entry['msg']} (got {entry['input']!r})"
        if key
        else entry["msg"].removeprefix("Value error, ")
    )
