"""Reads config.yaml: an error names file, line and key."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from asit_edge.config.root import Config
from asit_edge.errors import WrongUse, one_line
from asit_edge.validation import explain

SYSTEM_CONFIG = Path("/etc/asit-edge/config.yaml")


def load_config(path: Path | None) -> Config:
    """The configuration in `path`, or in /etc/asit-edge/config.yaml if that exists, or else the defaults.

    Raises WrongUse, naming file, line and key.
    """
    if path is None:
        if not SYSTEM_CONFIG.is_file():
            return Config()
        path = SYSTEM_CONFIG
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except OSError as error:
        raise WrongUse(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongUse(f"{path}: not valid YAML ({one_line(error)})") from None
    if values is None:
        return Config()
    if not isinstance(values, dict):
        raise WrongUse(f"{path}: must be a mapping of keys to values, like the config.yaml that comes with asit-edge")
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        line = _line_of(root, error.errors(include_url=False)[0]["loc"])
        raise WrongUse(f"{path}:{line}: {explain(error, Config)}") from None


def _line_of(node: Any, location: tuple[int | str, ...]) -> int:
    """The line on which the innermost part of a location that the file has stands."""
    line = node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                continue  # a union's tag is part of the location but not of the file
            key, node = found[0]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
