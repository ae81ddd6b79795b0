"""ASiT Edge on the device: from a microphone to events over MQTT. Never imports torch."""

__version__ = "0.1.0"
