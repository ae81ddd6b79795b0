"""Short names of fields in Home Assistant's discovery, as documented there: messages are half as long. Pure."""

from collections.abc import Mapping
from typing import Any

FIELDS = {
    "availability": "avty",
    "availability_mode": "avty_mode",
    "command_topic": "cmd_t",
    "components": "cmps",
    "content_type": "cont_type",
    "device": "dev",
    "device_class": "dev_cla",
    "enabled_by_default": "en",
    "entity_category": "ent_cat",
    "event_types": "evt_typ",
    "expire_after": "exp_aft",
    "icon": "ic",
    "image_encoding": "img_e",
    "image_topic": "img_t",
    "json_attributes_topic": "json_attr_t",
    "object_id": "obj_id",
    "options": "ops",
    "origin": "o",
    "payload_off": "pl_off",
    "payload_on": "pl_on",
    "payload_press": "pl_prs",
    "platform": "p",
    "state_class": "stat_cla",
    "state_topic": "stat_t",
    "topic": "t",
    "unique_id": "uniq_id",
    "unit_of_measurement": "unit_of_meas",
    "value_template": "val_tpl",
}
"""Known to every version that is supported. `default_entity_id` has one only in those that know it."""

DEVICE = {
    "configuration_url": "cu",
    "identifiers": "ids",
    "manufacturer": "mf",
    "model": "mdl",
    "sw_version": "sw",
}

ORIGIN = {"sw_version": "sw", "support_url": "url"}


def abbreviated(message: Mapping[str, Any]) -> dict[str, Any]:
    """A discovery message, or a component of one, with short names. Home Assistant writes them out again."""
    short = {}
    for name, value in message.items():
        if name == "device":
            value = _renamed(value, DEVICE)
        elif name == "origin":
            value = _renamed(value, ORIGIN)
        elif name == "availability":
            value = [_renamed(one, FIELDS) for one in value]
        elif name == "components":
            value = {key: abbreviated(component) for key, component in value.items()}
        short[FIELDS.get(name, name)] = value
    return short


def _renamed(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in fields.items()}
