"""Runs inside Home Assistant's own Python, not ours: a core without frontend or onboarding, asked over standard input.

    PYTHON core.py BROKER_PORT HTTP_PORT FOLDER     # FOLDER keeps its memory, and has automations and blueprints

Its first line says that it has started. Then it is asked in JSON, a line each, and answers in a line with devices,
entities and states: {"do": "tell"}, {"do": "call", "domain": ..., "service": ..., "data": ...}, {"do": "rename",
"entity": ..., "name": ...}; {"do": "stop"} ends it. Its log is on standard error.
"""

import asyncio
import json
import pathlib
import sys
from typing import Any

from homeassistant import bootstrap, const, core, runner
from homeassistant.helpers import device_registry, entity_registry

CONFIGURATION = """
homeassistant:
  {name: test, time_zone: UTC, unit_system: metric, latitude: 0, longitude: 0, elevation: 0, currency: EUR, country: DE}
http: {server_host: 127.0.0.1, server_port: HTTP_PORT}
logger: {default: warning}
automation: !include automations.yaml
"""


def prepare(folder: pathlib.Path, broker: int, http: int) -> None:
    """Its configuration, with the broker as if somebody had entered it; what is there stays."""
    storage = folder / ".storage"
    if storage.exists():
        return
    storage.mkdir(parents=True)
    (folder / "configuration.yaml").write_text(CONFIGURATION.replace("HTTP_PORT", str(http)))
    automations = folder / "automations.yaml"
    if not automations.exists():
        automations.write_text("[]\n")
    entry = {
        "entry_id": "mqtt1", "version": 1, "minor_version": 1, "domain": "mqtt", "title": "broker", "options": {},
        "data": {"broker": "127.0.0.1", "port": broker}, "unique_id": None, "disabled_by": None, "source": "user",
        "pref_disable_new_entities": False, "pref_disable_polling": False,
    }  # fmt: skip
    store = {"version": 1, "minor_version": 1, "key": "core.config_entries", "data": {"entries": [entry]}}
    (storage / "core.config_entries").write_text(json.dumps(store))


def told(hass: core.HomeAssistant) -> dict[str, Any]:
    devices = device_registry.async_get(hass).devices
    names = {one.id: one.name for one in devices.values()}
    return {
        "version": const.__version__,
        "devices": {
            one.name: {
                "model": one.model,
                "via": names.get(one.via_device_id),
                "url": one.configuration_url and str(one.configuration_url),
                "identifiers": sorted(identifier for _, identifier in one.identifiers),
            }
            for one in devices.values()
        },
        "entities": {
            one.entity_id: {
                "unique_id": one.unique_id,
                "device": names.get(one.device_id),
                "enabled": one.disabled_by is None,
                "category": one.entity_category,
                "name": one.name or one.original_name,
            }
            for one in entity_registry.async_get(hass).entities.values()
            if one.platform == "mqtt"
        },
        "states": {
            one.entity_id: {"state": one.state, "attributes": dict(one.attributes), "changed": one.last_changed}
            for one in hass.states.async_all()
        },
    }


async def serve(broker: int, http: int, folder: pathlib.Path) -> None:
    prepare(folder, broker, http)
    # What people look at, and what comes with it, needs packages of its own.
    bootstrap.CRITICAL_INTEGRATIONS = set()
    bootstrap.FRONTEND_INTEGRATIONS = set()
    bootstrap.DEFAULT_INTEGRATIONS = {"homeassistant", "logger", "automation"}
    config = runner.RuntimeConfig(config_dir=str(folder), skip_pip=True, verbose=False)
    hass = await bootstrap.async_setup_hass(config)
    assert hass is not None
    calls: list[dict[str, Any]] = []
    hass.services.async_register("notify", "test", lambda call: calls.append(dict(call.data)))
    await hass.async_start()
    say({"started": const.__version__})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        if asked["do"] == "stop":
            break
        if asked["do"] == "call":
            await hass.services.async_call(asked["domain"], asked["service"], asked["data"], blocking=True)
        elif asked["do"] == "rename":
            entity_registry.async_get(hass).async_update_entity(asked["entity"], name=asked["name"])
        say(told(hass) | {"notified": calls})
    await hass.async_stop(force=True)


def say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer, default=str), flush=True)


asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])))
