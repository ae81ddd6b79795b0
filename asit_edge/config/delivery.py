"""`mqtt`, `home_assistant`, `sinks` and `store` in config.yaml: where events go, and where they wait.

Sinks whose messages people read are in `notifications`.
"""

import os
import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from asit_edge.config.secrets import read_secret
from asit_edge.config.section import File, Name, NewFile, Section
from asit_edge.host.directories import state_directory

MQTT_TEXT = 16_000
"""Characters of a text in MQTT, which has room for 65,535 bytes."""

TOPIC = r"^[^+#/\s]+(/[^+#/\s]+)*$"


class Tls(Section):
    """Setting any key, or `enabled`, switches TLS on; certificates and host names are always verified."""

    enabled: bool = False
    ca_file: File | None = Field(None, description="PEM; null: the system's certificate authorities")
    cert_file: File | None = None
    key_file: File | None = None

    @model_validator(mode="after")
    def _pair(self) -> "Tls":
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        return self

    @property
    def wanted(self) -> bool:
        return self.enabled or self.ca_file is not None or self.cert_file is not None


class Mqtt(Section):
    """The broker. Without a host nothing is published."""

    host: str | None = Field(None, min_length=1)
    port: int | None = Field(None, ge=1, le=65_535, description="null: 1883 or 8883 (TLS); websockets: 80 or 443 (TLS)")
    transport: Literal["tcp", "websockets"] = "tcp"
    path: str = Field("/mqtt", pattern=r"^/\S*$", description="of the broker's websocket")
    username: str | None = Field(None, max_length=MQTT_TEXT)
    password_file: File | None = Field(None, description="or the environment's ASIT_EDGE_MQTT_PASSWORD")
    client_id: str | None = Field(None, min_length=1, max_length=MQTT_TEXT, description="null: asit-edge-<device>")
    prefix: str = Field("asit", max_length=1_000, pattern=TOPIC, description="first part of every topic")
    keepalive: int = Field(30, ge=5, le=3_600, description="seconds")
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    expiry: int = Field(
        604_800, ge=1, le=4_294_967_295, description="seconds for which the broker keeps events for absent subscribers"
    )
    backlog_rate: float = Field(100.0, ge=1, description="messages a second, at most, of what waited for the broker")
    tls: Tls = Tls()

    @field_validator("host")
    @classmethod
    def _host_alone(cls, host: str | None) -> str | None:
        # What is wrong here is often a whole address with its password: it is not repeated.
        if host is not None and (re.search(r"://|[/@?#\s]", host) or re.search(r"^[^:]*:\d*$", host)):
            raise ValueError(
                "must be a host name or an IP address alone, such as broker.local; what else stands in an address goes "
                "into mqtt.port, mqtt.username, mqtt.password_file and mqtt.tls.enabled"
            )
        return host

    @property
    def effective_port(self) -> int:
        if self.port is not None:
            return self.port
        plain, encrypted = (1883, 8883) if self.transport == "tcp" else (80, 443)
        return encrypted if self.tls.wanted else plain

    def password(self) -> str | None:
        """From the environment, or else from `password_file` (its first line). Never from the configuration."""
        if password := os.environ.get("ASIT_EDGE_MQTT_PASSWORD"):
            return password
        if self.password_file is None:
            return None
        return read_secret(self.password_file, "mqtt.password_file")


class HomeAssistant(Section):
    """Discovery: entities appear in Home Assistant without configuration there."""

    discovery: Literal["device", "entities", False] = Field(
        "device", description="a message a device, or an entity (Home Assistant before 2024.11); false: none"
    )
    prefix: str = Field("homeassistant", max_length=1_000, pattern=TOPIC, description="as set in Home Assistant")
    labels: list[str] | None = Field(
        None, description="whose entities are switched on at first; null: those that events names, and taught sounds"
    )

    pictures: bool = Field(False, description="the spectrogram of the last recording of each source, over the broker")

    @field_validator("discovery", mode="before")
    @classmethod
    def _as_before(cls, value: object) -> object:
        return "device" if value is True else value


class Filtered(Section):
    """A sink beside MQTT, and which events it gets."""

    types: list[Literal["new", "update", "end"]] = Field(default=["new", "end"], min_length=1)
    labels: list[str] | None = Field(None, description="null: all")


class WebhookSink(Filtered):
    """An HTTP server that gets every event as a POST request of its JSON."""

    type: Literal["webhook"]
    name: Name = "webhook"
    url: str = Field(
        pattern=r"^(https?://[^/\s]+\S*|\$\{\w+\}\S*)$", description="${NAME} in it is taken from the environment"
    )
    token_file: File | None = Field(None, description="its first line is sent as `Authorization: Bearer`")
    ca_file: File | None = Field(None, description="PEM; null: the system's certificate authorities")
    timeout: float = Field(10.0, gt=0, le=300, description="seconds")


class CommandSink(Filtered):
    """A program that is run for every event, with its JSON on standard input."""

    type: Literal["command"]
    name: Name = "command"
    run: list[str] = Field(min_length=1, description="program and arguments; no shell is involved")
    timeout: float = Field(30.0, gt=0, le=3_600, description="seconds after which it is killed")


class FileSink(Filtered):
    """A file of JSON lines."""

    type: Literal["file"]
    name: Name = "file"
    path: NewFile
    max_mb: float = Field(100.0, gt=0, description="then it becomes <path>.1 and a new one begins")


class StoreSettings(Section):
    """Where events are kept until the broker has them, and after."""

    path: NewFile | None = Field(None, description="null: events.db in the state directory")
    keep: int = Field(100_000, ge=100, description="events; beyond it the oldest are dropped, and that is said")
    max_days: float | None = Field(None, gt=0, description="older events are dropped; null: however old")
    max_mb: float = Field(500.0, ge=1, description="size of the file beyond which the oldest are dropped")

    @property
    def effective_path(self) -> Path:
        return self.path or state_directory() / "events.db"
