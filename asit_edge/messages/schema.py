"""The contracts as JSON Schema, generated from the models that write and check them."""

from typing import Any

from pydantic import BaseModel

from asit_edge.config.root import Config
from asit_edge.messages.event import Event
from asit_edge.messages.report import Adjusted, ClipReport, CommandError, DeviceIdentity, Gap, Health, Level, Status
from asit_edge.messages.rollout import Configured
from asit_edge.model.bundle import Manifest

MODELS: dict[str, type[BaseModel]] = {
    "event": Event,
    "bundle": Manifest,
    "config": Config,
    "gap": Gap,
    "clip": ClipReport,
    "status": Status,
    "level": Level,
    "adjusted": Adjusted,
    "health": Health,
    "error": CommandError,
    "identity": DeviceIdentity,
    "configured": Configured,
}
"""What there is a contract for: MQTT payloads, `bundle.yaml` and `config.yaml`."""


def schema(name: str) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of one of MODELS; raises KeyError if it is not there."""
    described = MODELS[name].model_json_schema(by_alias=True)
    if name not in ("bundle", "config"):  # those are written by people, who may leave keys out; a payload never does
        described["required"] = list(described["properties"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://asit-edge/schema/{name}",
        **described,
    }
