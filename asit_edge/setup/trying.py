"""Tries answers before they are written: listens to the source, connects to the broker."""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from asit_edge.assembly import open_source
from asit_edge.config.delivery import Mqtt
from asit_edge.config.sources import MicrophoneSource, StreamSource
from asit_edge.errors import WrongUse
from asit_edge.mqtt.client import Client
from asit_edge.setup.level import Level, listen_to
from asit_edge.validation import explain

RATE = 16_000
"""Hz, for what can deliver any rate."""

BROKER_SECONDS = 10.0
"""How long a broker may take."""

Settings = TypeVar("Settings", bound=BaseModel)


def level_at(source: Mapping[str, Any]) -> Level:
    """Of a source as `sources` in config.yaml says it. Raises AsitEdgeError where it cannot be heard."""
    stream = source["type"] == "stream"
    settings = _settings(StreamSource, source, "source") if stream else _settings(MicrophoneSource, source, "source")
    return listen_to(open_source(settings, RATE))


def broker_problem(mqtt: Mapping[str, Any], password: str | None) -> str | None:
    """Why a broker, as `mqtt` in config.yaml says it, does not take us; None where it does. Raises WrongUse."""
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder) / "password"
        secret.touch(mode=0o600)
        secret.write_text(password or "", encoding="utf-8")
        settings = _settings(Mqtt, {**mqtt, **({"password_file": secret} if password else {})}, "broker")
        with _silently(), Client(settings) as client:
            return None if client.subscribed(BROKER_SECONDS) else client.problem or f"{settings.host}: no answer"


def _settings(kind: type[Settings], values: Mapping[str, Any], what: str) -> Settings:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise WrongUse(f"{what}: {explain(error, kind)}") from None


@contextmanager
def _silently() -> Iterator[None]:
    """What the connection would log is the answer here."""
    log = logging.getLogger("asit_edge.mqtt")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
