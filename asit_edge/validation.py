"""Turns a pydantic error into one sentence for the person who wrote the file: which key, what is wrong and right."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_PRIVATE = {
    *("url", "host", "password_file", "token_file", "options", "run"),
    *("server", "topic", "topic_file", "token", "user", "user_file", "chat", "url_file", "base_url"),
}
"""Keys whose values may have a secret in them, or be one: they are not repeated."""


_PATTERNS = {
    r"^[A-Za-z0-9_-]{1,64}$": "must be 1 to 64 letters, digits, _ and -",
    r"^([01]\d|2[0-3]):[0-5]\d$": "must be a time of day from 00:00 to 23:59",
    r"^([A-Za-z0-9._-]{1,255}|[0-9A-Fa-f:]{2,45})$": "must be a host name or an address, without http:// and port",
    r"^[^+#/\s]+(/[^+#/\s]+)*$": "must be a topic without +, #, spaces and empty parts",
    r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$": (
        "must be ${NAME}, of a variable in the environment: a secret does not stand in the configuration"
    ),
    r"^(https?://[^/\s]+/?|\$\{[A-Za-z_][A-Za-z0-9_]*\})$": (
        "must be http:// or https:// and a host, such as https://ntfy.example.org; nothing comes after it"
    ),
    r"^([A-Za-z0-9_-]{1,64}|\$\{[A-Za-z_][A-Za-z0-9_]*\})$": (
        "must be 1 to 64 letters, digits, _ and -, or ${NAME} of a variable in the environment"
    ),
    r"^(-?\d{1,20}|@[A-Za-z0-9_]{1,64}|\$\{[A-Za-z_][A-Za-z0-9_]*\})$": (
        "must be the number of a chat, @ and the name of a channel, or ${NAME} of a variable in the environment"
    ),
}
"""Of texts that must look like something: in words what the pattern says."""


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first problem in words, with the nearest valid key where the key is unknown."""
    problem = error.errors(include_url=False)[0]
    key = dotted(_without_tags(problem["loc"], model))
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key!r}{_nearest_key(problem, model)}"
    if problem["type"] == "missing":
        return f"key {key!r} is missing"
    if problem["type"] == "union_tag_not_found":
        return f"key '{key}.{problem['ctx']['discriminator'][1:-1]}' is missing"
    if problem["type"] in ("invalid_key", "string_type") and problem["loc"][-1:] == ("[key]",):
        return f"{dotted(_without_tags(problem['loc'][:-2], model))}: a key must be a text"
    if problem["type"] == "finite_number":
        return f"{key}: must be a finite number"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "union_tag_invalid":
        found = problem["ctx"]
        return f"{key}: {found['discriminator'][1:-1]} must be one of {found['expected_tags']}, not {found['tag']!r}"
    if problem["type"] == "string_pattern_mismatch":
        message = _PATTERNS.get(problem["ctx"]["pattern"], message)
    message = message[:1].lower() + message[1:]
    if key.rpartition(".")[2] in _PRIVATE:
        return f"{key}: {message}"
    if isinstance(problem["input"], (str, int, float, bool)) and problem["type"] != "value_error":
        message += f", not {problem['input']!r}"
    return f"{key}: {message}" if key else message


def _without_tags(location: tuple[int | str, ...], model: type[BaseModel]) -> tuple[int | str, ...]:
    """A location without the names of a union's members, which are part of pydantic's but not of the file."""
    models, kept = {model}, list[int | str]()
    for part in location:
        if len(models) > 1 and any(part == _tag(candidate) for candidate in models):
            models = {candidate for candidate in models if part == _tag(candidate)}
            continue
        kept.append(part)
        if isinstance(part, str):
            models = {
                found
                for candidate in models
                if part in candidate.model_fields
                for found in _models_in(candidate.model_fields[part].annotation)
            }
    return tuple(kept)


def dotted(location: tuple[int | str, ...]) -> str:
    """("sources", 0, "device") to "sources[0].device"."""
    text = ""
    for part in location:
        if isinstance(part, str) and not part.isprintable():
            part = repr(part)  # on one line
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _nearest_key(problem: ErrorDetails, model: type[BaseModel]) -> str:
    *parents, unknown = problem["loc"]
    return nearest(str(unknown), sorted(_keys_at(model, parents)))


def nearest(unknown: str, valid: Sequence[str]) -> str:
    """The remedy for an unknown name: the most similar valid one, or else all of them."""
    close = difflib.get_close_matches(unknown, valid, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else f" (valid: {', '.join(valid)})"


def _keys_at(model: type[BaseModel], path: list[int | str]) -> set[str]:
    """The keys that are valid under a path; for a union, those of every member that the path fits."""
    models = {model}
    for part in path:
        if isinstance(part, int) or any(part == _tag(candidate) for candidate in models):
            continue
        models = {
            found
            for candidate in models
            if part in candidate.model_fields
            for found in _models_in(candidate.model_fields[part].annotation)
        } or models  # a name in a mapping, such as a label's
    tags = [part for part in path if isinstance(part, str)]
    tagged = {candidate for candidate in models if tags and _tag(candidate) == tags[-1]}
    return {name for candidate in tagged or models for name in candidate.model_fields}


def _tag(model: type[BaseModel]) -> object:
    field = model.model_fields.get("type") or model.model_fields.get("shape")
    return next(iter(get_args(field.annotation)), None) if field else None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
