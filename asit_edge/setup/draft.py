"""Answers to files: a configuration with comments, and secrets in files of their own."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from pydantic import ValidationError

from asit_edge.config.file import SYSTEM_CONFIG
from asit_edge.config.root import Config
from asit_edge.config.secrets import has_secret
from asit_edge.errors import WrongUse
from asit_edge.setup.answers import Answers
from asit_edge.validation import explain

OWNER, EVERYBODY = 0o600, 0o644

MQTT_PASSWORD = "ASIT_EDGE_MQTT_PASSWORD"
STREAM_URL = "ASIT_EDGE_STREAM_URL"

_COMMENTS = {
    "device": "This box in topics and events.",
    "sources": "What is listened to; every source has a name of its own, which is part of its topics.",
    "events": "Which sounds are reported; without this all that the model knows (asit-edge model info).",
    "mqtt": "The broker that gets events.",
    "clips": "Recordings of events.",
}


class NewFile(NamedTuple):
    path: Path
    text: str
    mode: int


def drafted(answers: Answers, path: Path) -> list[NewFile]:
    """Files to write, `path` as the last one. Raises WrongUse where the configuration would not be a valid one.

    The system's service does not read files that are root's alone: in its folder secrets go to the file `environment`,
    which systemd reads for it.
    """
    source, mqtt = dict(answers.source), dict(answers.mqtt)
    system = path.parent == SYSTEM_CONFIG.parent
    files, secrets = [], dict[str, str]()
    if answers.mqtt_password is not None:
        if system:
            secrets[MQTT_PASSWORD] = answers.mqtt_password
        else:
            file = path.with_name("mqtt-password")
            files.append(NewFile(file, f"{answers.mqtt_password}\n", OWNER))
            mqtt["password_file"] = str(file)
    if has_secret(source.get("url", "")):
        if system:
            secrets[STREAM_URL] = source["url"]
            source["url"] = f"${{{STREAM_URL}}}"
        else:
            files += _stream_password(source, path)
    values = {"device": answers.device, "sources": [source], "mqtt": mqtt}
    if answers.labels is not None:
        values["events"] = {"only": answers.labels}
    if answers.clips is not None:
        values["clips"] = {"enabled": answers.clips}
    values = {key: value for key, value in values.items() if value}
    _valid(values)
    if secrets:
        file = path.with_name("environment")
        files.append(NewFile(file, _with_variables(file, secrets), OWNER))
    private = not system and bool(files or has_secret(source.get("url", "")))
    return [*files, NewFile(path, text_of(values), OWNER if private else EVERYBODY)]


def text_of(values: Mapping[str, Any]) -> str:
    """As YAML, with what each part means."""
    lines = ["# ASiT Edge on this device. Every other key, with its default: asit-edge config example"]
    for key, comment in _COMMENTS.items():
        if key in values:
            lines += ["", f"# {comment}", *_lines(key, values[key], "")]
    return "\n".join(lines) + "\n"


def _lines(key: str, value: Any, indent: str) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{indent}{key}:", *(line for part in value for line in _lines(part, value[part], f"{indent}  "))]
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        inner = [[line for part in one for line in _lines(part, one[part], f"{indent}    ")] for one in value]
        return [f"{indent}{key}:", *(f"{indent}  - {one[0].lstrip()}\n" + "\n".join(one[1:]) for one in inner)]
    return [f"{indent}{key}: {_scalar(value)}"]


def _scalar(value: Any) -> str:
    """What needs no quotes has none."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z/][\w./-]*", value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def _valid(values: Mapping[str, Any]) -> None:
    try:
        Config.model_validate(values)
    except ValidationError as error:
        raise WrongUse(explain(error, Config)) from None


def _stream_password(source: dict[str, Any], path: Path) -> list[NewFile]:
    """The password of `user:password@`, if there is one, moves to a file; what else is secret stays in the address."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*://)([^:/?#@]+):([^/?#]+)@", source["url"])
    if found is None:
        return []
    file = path.with_name(f"{source['name']}-password")
    source["url"] = f"{found[1]}{found[2]}@{source['url'][found.end() :]}"
    source["password_file"] = str(file)
    return [NewFile(file, f"{unquote(found[3])}\n", OWNER)]


def _with_variables(file: Path, variables: Mapping[str, str]) -> str:
    """A file of systemd's EnvironmentFile with these in it; other lines stay."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    kept = [line for line in lines if line.partition("=")[0].strip() not in variables]
    fresh = [f"{name}={_quoted(value)}" for name, value in variables.items()]
    return "\n".join([*kept, *fresh]) + "\n"


def _quoted(value: str) -> str:
    """As systemd reads it: within double quotes a backslash is taken from before `"`, `\\`, `$` and a backtick."""
    return '"' + re.sub(r'(["\\$`])', r"\\\1", value) + '"'
