"""What is asked before a configuration is written, and how people's words for it are understood. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asit_edge.audio.sources.microphone import lasting_name
from asit_edge.errors import WrongUse
from asit_edge.validation import nearest


@dataclass
class Answers:
    """Keys and values as in config.yaml; what is None is left out."""

    device: str | None = None
    source: dict[str, Any] = field(default_factory=lambda: {"type": "microphone", "name": "microphone"})
    mqtt: dict[str, Any] = field(default_factory=dict)
    """Without its password."""
    mqtt_password: str | None = None
    labels: list[str] | None = None
    clips: bool | None = None


def source_of(words: str, devices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An address, or a microphone by number, part of its name or USB identity; "" and `default`: the system's default.

    A number becomes what does not change when devices are plugged in another order.
    """
    if "://" in words:
        return {"type": "stream", "name": "stream", "url": words}
    microphone: dict[str, Any] = {"type": "microphone", "name": "microphone"}
    if words in ("", "default"):
        return microphone
    if words.isdecimal():
        found = next((one for one in devices if one["index"] == int(words)), None)
        if found is None:
            listing = ", ".join(str(one["index"]) for one in devices) or "none"
            raise WrongUse(f"there is no input device number {words} (there are: {listing})")
        return {**microphone, "device": lasting_name(found, devices)}
    return {**microphone, "device": words}


def broker_of(words: str) -> dict[str, Any]:
    """`host`, `host:port`, `[::1]:port`, or an address `mqtt://` or `mqtts://` without user. Raises WrongUse."""
    found = re.fullmatch(
        r"(?:(mqtts?)://)?(\[[0-9A-Fa-f:.]+\]|[^\s:/@?#]+|[0-9A-Fa-f]*(?::[0-9A-Fa-f]*){2,})(?::(\d+))?/?", words
    )
    if found is None:
        raise WrongUse("the broker is a host, or host:port, such as broker.local or broker.local:8883")
    scheme, host, port = found.groups()
    broker: dict[str, Any] = {"host": host.strip("[]")}
    if port:
        broker["port"] = int(port)
    if scheme == "mqtts" or port == "8883":
        broker["tls"] = {"enabled": True}
    return broker


def label_of(words: str, labels: Sequence[str]) -> str:
    """The label that is meant: its name, in any case, or a part of it that no other has. Raises WrongUse."""
    wanted = words.strip().casefold()
    exact = [one for one in labels if one.casefold() == wanted]
    found = exact or [one for one in labels if wanted and wanted in one.casefold()]
    if not found:
        raise WrongUse(f"the model has no label {words!r}{nearest(words, labels) if len(labels) < 30 else ''}")
    if len(found) > 1:
        raise WrongUse(f"{words!r} fits more than one label: {', '.join(map(repr, found))}")
    return found[0]
