"""ASiT Edge on the device: from a microphone to events over MQTT. Never imports torch.

The public face of the library; everything else may move. What is named here is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from asit_edge.host.telemetry import switch_off

if TYPE_CHECKING:
    from asit_edge.detector import Detector
    from asit_edge.errors import AsitEdgeError
    from asit_edge.messages.event import Event
    from asit_edge.model.bundle import load_bundle
    from asit_edge.mqtt.client import Client

switch_off()

__version__ = "0.1.0"

__all__ = ["AsitEdgeError", "Client", "Detector", "Event", "__version__", "load_bundle"]

_PLACES = {
    "AsitEdgeError": "asit_edge.errors",
    "Client": "asit_edge.mqtt.client",
    "Detector": "asit_edge.detector",
    "Event": "asit_edge.messages.event",
    "load_bundle": "asit_edge.model.bundle",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'asit_edge' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
