"""`remote` in config.yaml: what may be changed from afar, and what came from there and is in force.

A configuration that comes over the broker lies above the file and below the environment. It can say nothing but what is
`SETTABLE`, and of that only what the file declares in `remote.allow`: no address, no file, no program, no secret.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from asit_edge.config.delivery import TOPIC
from asit_edge.config.environment import Location, Override
from asit_edge.config.section import File, Section
from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from asit_edge.host.files import write_whole
from asit_edge.validation import nearest

SETTABLE = (
    "events",
    *("sources.events", "sources.channel", "sources.rate"),
    *("sources.stall_after", "sources.reopen_after", "sources.silent_after"),
    "home_assistant.discovery",
    *("mqtt.keepalive", "mqtt.expiry", "mqtt.backlog_rate"),
    *("store.keep", "store.max_days", "store.max_mb"),
    *("clips.max_days", "clips.max_mb", "clips.min_free_mb"),
)
"""All that `remote.allow` may name, or parts of it: what is below one of these. `sources` are told by their names."""

NAME = "pushed.json"
MOST_DOCUMENT = 1 << 16
"""Bytes of what comes from afar."""
MOST_RECORD = 1 << 20


class Remote(Section):
    """Nothing comes from afar unless `enabled`."""

    enabled: bool = False
    topic: str | None = Field(None, max_length=1_000, pattern=TOPIC, description="null: <prefix>/<device>/wanted")
    allow: list[str] = Field(default_factory=list, description="keys that a configuration from afar may set")
    public_key_file: File | None = Field(None, description="PEM, Ed25519; null: all that comes on the topic is taken")
    bundles: str | None = Field(None, description="https://... or a folder, with bundles below; null: no models come")
    ca_file: File | None = Field(None, description="PEM, for bundles; null: the system's certificate authorities")
    max_mb: float = Field(500.0, gt=0, description="of a bundle that comes from afar")
    trial_seconds: float = Field(60.0, ge=5, le=3_600, description="until listening has to have come back")

    @model_validator(mode="after")
    def _something(self) -> "Remote":
        if self.enabled and not self.allow and not self.bundles:
            raise ValueError("nothing may come: name keys in allow, such as [events], or where models are in bundles")
        return self

    @field_validator("allow")
    @classmethod
    def _settable(cls, keys: list[str]) -> list[str]:
        for key in keys:
            if not _below(key, SETTABLE):
                raise ValueError(f"{key!r} cannot be set from afar{nearest(key, list(SETTABLE))}")
        return keys

    @field_validator("bundles")
    @classmethod
    def _safe_place(cls, place: str | None) -> str | None:
        if place is not None and not re.fullmatch(r"https://[^\s/@?#]+(/[^\s?#]*)?|/\S.*", place):
            raise ValueError("must be https:// and a host, without user, password and query, or the path of a folder")
        return place


class WantedModel(BaseModel):
    """A bundle: the folder of that name in `remote.bundles`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of its bundle.yaml, which has those of its files")

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.sha256[:16]}"


class Wanted(BaseModel):
    """What comes from afar: all that is to differ from the file, and the model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = Field(1, alias="schema")
    serial: int = Field(ge=1, le=1 << 53, description="higher than that of any before")
    devices: list[str] | None = Field(None, description='names, or "*": whom it is for; null: whoever reads the topic')
    config: dict[str, Any] = Field(default_factory=dict, description="as config.yaml has it; sources by their names")
    model: WantedModel | None = Field(None, description="null: as the file says")


class Trial(BaseModel):
    """What is tried at the moment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    wanted: Wanted
    starts: int = Field(ge=0, description="runs of the listener that have had it")
    listened: list[str] = Field(description="sources that were listened to before")


class Record(BaseModel):
    """What came from afar, and what became of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    serial: int = Field(0, description="the highest that was considered")
    in_force: Wanted | None = None
    trial: Trial | None = None
    state: Literal["none", "trial", "applied", "refused", "rolled_back"] = "none"
    reason: str = ""

    @property
    def wanted(self) -> Wanted | None:
        """What a listener that starts now takes."""
        return self.trial.wanted if self.trial else self.in_force


def record_file(store: Path) -> Path:
    """Beside the event store."""
    return store.with_name(NAME)


def bundles_folder(store: Path) -> Path:
    return store.with_name("bundles")


def read_record(file: Path) -> Record:
    """An empty one where there is none. Raises AsitEdgeError where it cannot be read."""
    try:
        with file.open("rb") as opened:
            return Record.model_validate_json(opened.read(MOST_RECORD))
    except FileNotFoundError:
        return Record()
    except (OSError, ValidationError) as error:
        raise AsitEdgeError(f"{file}: cannot be read ({one_line(error)}); remove it to begin anew") from None


def write_record(file: Path, record: Record) -> None:
    """Raises AsitEdgeError."""
    write_whole(file, record.model_dump_json(by_alias=True).encode())


def forbidden(wanted: Wanted, settings: Remote) -> list[str]:
    """Keys that the device does not let be set from afar."""
    return sorted({key for key, _, _ in _leaves(wanted.config) if not _below(key, settings.allow)})


def overrides_of(wanted: Wanted, values: Mapping[str, Any], store: Path) -> list[Override]:
    """What is laid over the values of a file. Raises WrongUse for a source that there is not."""
    origin = f"from afar ({wanted.serial})"
    found = [
        Override(origin, _placed(location, values), value, json.dumps(value))
        for _, location, value in _leaves(wanted.config)
    ]
    if wanted.model:
        path = str(bundles_folder(store) / wanted.model.folder)
        found.append(Override(origin, ("model",), path, path))
    return found


def _below(key: str, keys: tuple[str, ...] | list[str]) -> bool:
    return any(key == one or key.startswith(f"{one}.") for one in keys)


def _leaves(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """Key as `SETTABLE` has it, location and value of all that is said."""

    def walk(value: Any, location: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...], Any]]:
        if isinstance(value, dict) and value:
            for part, inner in value.items():
                yield from walk(inner, (*location, part))
        elif value != {} or len(location) > 1:
            named = location[:1] + location[2:] if location[0] == "sources" else location
            yield ".".join(named), location, value

    yield from walk(config, ())


def _placed(location: tuple[str, ...], values: Mapping[str, Any]) -> Location:
    """Sources by their place in the list."""
    if location[0] != "sources":
        return location
    listed = values.get("sources")
    entries = listed if isinstance(listed, list) else [{}]
    names = [one.get("name") or one.get("type") or "microphone" for one in entries if isinstance(one, dict)]
    if location[1] not in names:
        raise WrongUse(f"sources: there is no source {location[1]!r}{nearest(location[1], names)}")
    return ("sources", names.index(location[1]), *location[2:])
