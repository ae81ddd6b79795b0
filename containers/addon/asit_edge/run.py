"""Starts the listener of the add-on: options and Home Assistant's own broker become variables of the environment."""

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OPTIONS = Path("/data/options.json")
CONFIG = Path("/config/config.yaml")
SERVICE = "http://supervisor/services/mqtt"

PAGE = {
    "ASIT_EDGE__WEB__HOST": "0.0.0.0",
    "ASIT_EDGE__WEB__PORT": "8490",
    "ASIT_EDGE__WEB__INGRESS": "172.30.32.2",
}
"""Home Assistant's ingress comes from that address, and nobody else is answered."""


def variables(options: Mapping[str, Any], broker: Mapping[str, Any] | None) -> dict[str, str]:
    """For `asit-edge listen`; a broker that is named in the options goes before Home Assistant's own."""
    found = {"ASIT_EDGE__DEVICE": str(options["device"]), **PAGE}
    source = str(options.get("source") or "default")
    if "://" in source:
        found["ASIT_EDGE__SOURCES"] = json.dumps([{"type": "stream", "name": "stream", "url": "${SOURCE_URL}"}])
        found["SOURCE_URL"] = source
    elif source != "default":
        found["ASIT_EDGE__SOURCES"] = json.dumps([{"type": "microphone", "name": "microphone", "device": source}])
    if options.get("labels"):
        found["ASIT_EDGE__EVENTS__ONLY"] = json.dumps(options["labels"])
    if options.get("mqtt_host"):
        names = {"host": "mqtt_host", "username": "mqtt_username", "password": "mqtt_password"}
        broker = {to: options.get(name) for to, name in names.items()}
    if broker:
        found["ASIT_EDGE__MQTT__HOST"] = str(broker["host"])
        if broker.get("port"):
            found["ASIT_EDGE__MQTT__PORT"] = str(broker["port"])
        if broker.get("ssl"):
            found["ASIT_EDGE__MQTT__TLS__ENABLED"] = "true"
        if broker.get("username"):
            found["ASIT_EDGE__MQTT__USERNAME"] = str(broker["username"])
            found["ASIT_EDGE_MQTT_PASSWORD"] = str(broker.get("password") or "")
    return found


def own_broker(address: str, token: str) -> dict[str, Any] | None:
    """The broker that Home Assistant offers its add-ons; None where there is none."""
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return dict(json.load(answer)["data"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else type(error).__name__
        print(
            f"asit-edge: warning: Home Assistant offers no MQTT broker ({said}); is the Mosquitto add-on there?",
            file=sys.stderr,
        )
        return None


def main() -> None:
    options = json.loads(OPTIONS.read_text(encoding="utf-8"))
    broker = None if options.get("mqtt_host") else own_broker(SERVICE, os.environ.get("SUPERVISOR_TOKEN", ""))
    named = ["--config", str(CONFIG)] if CONFIG.is_file() else []
    os.execvpe("asit-edge", ["asit-edge", "listen", *named], {**os.environ, **variables(options, broker)})


if __name__ == "__main__":
    main()
