"""Microphones through PortAudio. The callback copies into the ring and returns; it decides nothing and never waits."""

import time
from typing import Any

from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from asit_edge.ring import Ring

RING_SECONDS = 30
"""What may pile up while a model is busy or the machine is suspended."""

MOST_CHANNELS = 8
"""A device with more is a sound server, not an array of microphones."""

SILENT_AFTER = 3.0
"""Seconds without a single callback after which a device counts as lost."""


def _sounddevice() -> Any:
    """The sounddevice module. Loading it starts PortAudio, which some systems lack."""
    try:
        import sounddevice
    except OSError as error:
        raise AsitEdgeError(
            f"PortAudio is not installed ({one_line(error)}); on Debian and Ubuntu: apt install libportaudio2"
        ) from None
    return sounddevice


def input_devices() -> list[dict[str, Any]]:
    """The devices that can record: index, name, host API, channels, default rate in Hz, whether it is the default."""
    sounddevice = _sounddevice()
    default = sounddevice.default.device[0]
    apis = sounddevice.query_hostapis()
    return [
        {
            "index": info["index"],
            "name": info["name"],
            "api": apis[info["hostapi"]]["name"],
            "channels": info["max_input_channels"],
            "rate": round(info["default_samplerate"]),
            "default": info["index"] == default,
        }
        for info in sounddevice.query_devices()
        if info["max_input_channels"] > 0
    ]


def find_device(wanted: int | str | None, devices: list[dict[str, Any]]) -> dict[str, Any]:
    """The device with that index, exact name, or part of the name (in any case); None is the default device.

    Raises WrongUse with the list of devices if there is none, or more than one.
    """
    listing = "; ".join(f"{device['index']}: {device['name']}" for device in devices) or "none"
    if wanted is None:
        found = [device for device in devices if device["default"]] or devices[:1]
    elif isinstance(wanted, int):
        found = [device for device in devices if device["index"] == wanted]
    else:
        exact = [device for device in devices if device["name"] == wanted]
        found = exact[:1] or [device for device in devices if wanted.lower() in device["name"].lower()]
    if len(found) > 1:
        raise WrongUse(f"input device {wanted!r} fits more than one; name one of: {listing}")
    if not found:
        what = "no input device" if wanted is None else f"no input device {wanted!r}"
        raise WrongUse(f"{what}; devices: {listing}")
    return found[0]


class Microphone:
    """One input device. Opens at `model_rate` if the device can, or else at the device's own rate."""

    def __init__(
        self, name: str, device: int | str | None, channel: int | None, rate: int | None, model_rate: int
    ) -> None:
        """`channel` counts from 1, None records all of them. Raises WrongUse if there is no such device or channel."""
        sounddevice = _sounddevice()
        self.name = name
        info = find_device(device, input_devices())
        self._sounddevice = sounddevice
        self.device_name: str = info["name"]
        self._index: int = info["index"]
        if channel and channel > info["channels"]:
            raise WrongUse(
                f"input device {self.device_name!r} has {info['channels']} channel(s), not channel {channel}"
            )
        # Sound servers offer any number of channels and mix to the number that is asked for.
        self._channels: int = channel or (info["channels"] if info["channels"] <= MOST_CHANNELS else 1)
        self.rate = rate or self._usable_rate(model_rate, info["rate"])
        self.ring = Ring(RING_SECONDS * self.rate, self._channels)
        self._stream: Any = None
        self._started_at: float | None = None
        self._last_block = time.monotonic()
        self._finished = False
        self._stopped = False
        self.overflows = 0

    def _usable_rate(self, model_rate: int, device_rate: int) -> int:
        try:
            self._sounddevice.check_input_settings(self._index, self._channels, "float32", samplerate=model_rate)
        except self._sounddevice.PortAudioError:
            return device_rate
        return model_rate

    def start(self) -> None:
        try:
            self._stream = self._sounddevice.InputStream(
                samplerate=self.rate,
                device=self._index,
                channels=self._channels,
                dtype="float32",
                latency="high",
                callback=self._on_audio,
                finished_callback=self._on_finished,
            )
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            raise AsitEdgeError(
                f"microphone {self.device_name!r} cannot be opened at {self.rate} Hz with {self._channels} channel(s): "
                f"{one_line(error)}; see asit-edge devices"
            ) from None
        self._last_block = time.monotonic()

    def stop(self) -> None:
        self._stopped = True
        if self._stream is not None:
            self._stream.close(ignore_errors=True)
            self._stream = None

    @property
    def started_at(self) -> float | None:
        return self._started_at

    @property
    def ended(self) -> str | None:
        if self._stopped:
            return ""
        if self._finished:
            return f"microphone {self.device_name!r} was lost (unplugged, or the sound server stopped)"
        if time.monotonic() - self._last_block > SILENT_AFTER:
            return f"microphone {self.device_name!r} has delivered nothing for {SILENT_AFTER:g} s"
        return None

    def _on_audio(self, block: Any, frames: int, _time: Any, status: Any) -> None:
        self._last_block = time.monotonic()
        if self._started_at is None:
            self._started_at = time.time() - frames / self.rate
        if status.input_overflow:
            self.overflows += 1
        self.ring.write(block)

    def _on_finished(self) -> None:
        self._finished = True
