"""Microphones through PortAudio. The callback copies into the ring and returns; it decides nothing and never waits.

PortAudio knows only the devices that were there when it was initialised, and is not made for being used from several
threads. So devices are opened and closed under one lock, in threads that may hang (a sound server that is stopped does
not answer) without the listening loop waiting for them, and PortAudio is initialised again where that can help. While
the closing of a device hangs, others can be opened, but PortAudio cannot be initialised anew.
"""

import atexit
import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from asit_edge.audio.clock import steady
from asit_edge.audio.ring import Ring
from asit_edge.audio.sources.usb import alsa_card, card_list, usb_cards
from asit_edge.errors import AsitEdgeError, WrongUse, one_line

log = logging.getLogger(__name__)

RING_SECONDS = 30
"""What may pile up while a model is busy or a sound server catches up."""

MOST_CHANNELS = 8
"""A device with more is a sound server, not an array of microphones."""

LONGEST_PAUSE = 2.0
"""Seconds between attempts to open a microphone that is away: it should be heard soon after it returns."""

CLOSING_SECONDS = 2.0


class _PortAudio:
    """The one PortAudio of this process: its lock, its open streams, its list of devices."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.open: set[MicrophoneCapture] = set()
        self.hanging = 0
        """Devices whose closing does not return."""
        self._module: Any = None
        self._cards = ""

    def module(self) -> Any:
        """The sounddevice module. Loading it starts PortAudio, which some systems lack."""
        if self._module is None:
            try:
                import sounddevice
            except OSError as error:
                raise AsitEdgeError(
                    f"PortAudio is not installed ({one_line(error)}); on Debian and Ubuntu: apt install libportaudio2"
                ) from None
            # It would wait at exit for a sound server that does not answer; the system closes everything anyway.
            atexit.unregister(sounddevice._exit_handler)
            self._cards = card_list()
            self._module = sounddevice
        return self._module

    def may_refresh(self) -> bool:
        """Whether new devices can be looked for: nothing else is open, or there is reason to interrupt it."""
        return not self.hanging and (not self.open or card_list() != self._cards)

    def refresh(self) -> None:
        """Looks for devices anew. What is open breaks off and is opened again by whoever watches it."""
        for capture in list(self.open):
            capture.interrupt("the sound system was scanned for devices")
        self._cards = card_list()
        module = self.module()
        while module._initialized:
            module._terminate()
        module._initialize()


_portaudio = _PortAudio()


def input_devices() -> list[dict[str, Any]]:
    """The devices that can record: index, name, host API, channels, default rate in Hz, whether it is the default,
    and the USB identity where there is one.
    """
    sounddevice = _portaudio.module()
    default = sounddevice.default.device[0]
    apis = sounddevice.query_hostapis()
    identities = usb_cards()
    return [
        {
            "index": info["index"],
            "name": info["name"],
            "api": apis[info["hostapi"]]["name"],
            "channels": info["max_input_channels"],
            "rate": round(info["default_samplerate"]),
            "default": info["index"] == default,
            "usb": identities.get(card) if (card := alsa_card(info["name"])) is not None else None,
        }
        for info in sounddevice.query_devices()
        if info["max_input_channels"] > 0
    ]


def lasting_name(device: Mapping[str, Any], devices: Iterable[Mapping[str, Any]]) -> str:
    """By what `find_device` finds it again: its USB identity, which does not change with the order of plugging in,
    unless another device has it too; else its name."""
    alike = [one for one in devices if one["usb"] == device["usb"]]
    return str(device["usb"] if device["usb"] is not None and len(alike) == 1 else device["name"])


def find_device(wanted: int | str | None, devices: list[dict[str, Any]]) -> dict[str, Any]:
    """The device with that index, USB identity (with or without serial), exact name, or part of the name (in any
    case); None is the default device.

    Raises AsitEdgeError with the list of devices if there is none, WrongUse if there is more than one.
    """
    listing = "; ".join(f"{device['index']}: {device['name']}" for device in devices) or "none"
    if wanted is None:
        found = [device for device in devices if device["default"]] or devices[:1]
    elif isinstance(wanted, int):
        found = [device for device in devices if device["index"] == wanted]
    elif wanted.lower().startswith("usb:"):
        identity = wanted.lower()
        found = [device for device in devices if f"{device.get('usb') or ''}:".startswith(f"{identity}:")]
    else:
        exact = [device for device in devices if device["name"] == wanted]
        found = exact[:1] or [device for device in devices if wanted.lower() in device["name"].lower()]
    if len(found) > 1:
        raise WrongUse(f"input device {wanted!r} fits more than one; name one of: {listing}")
    if not found:
        what = "no input device" if wanted is None else f"no input device {wanted!r}"
        raise AsitEdgeError(f"{what}; devices: {listing}")
    return found[0]


class Microphone:
    """One input device. Opens at `model_rate` if the device can, or else at the device's own rate."""

    live = True
    longest_pause = LONGEST_PAUSE

    def __init__(
        self, name: str, device: int | str | None, channel: int | None, rate: int | None, model_rate: int
    ) -> None:
        """`channel` counts from 1, None records all of them. The device need not be there yet.

        Raises AsitEdgeError if there is no PortAudio.
        """
        _portaudio.module()
        self.name = name
        self._device = device
        self._channel = channel
        self._rate = rate
        self._model_rate = model_rate
        self._attempted = False

    def open(self) -> "MicrophoneCapture":
        with _portaudio.lock:
            fresh = not self._attempted
            self._attempted = True
            if not fresh and not _portaudio.open and not _portaudio.hanging:
                _portaudio.refresh()
                fresh = True
            try:
                return self._open()
            except WrongUse:
                raise
            except AsitEdgeError:
                if fresh or not _portaudio.may_refresh():
                    raise
            _portaudio.refresh()
            return self._open()

    def _open(self) -> "MicrophoneCapture":
        sounddevice = _portaudio.module()
        info = find_device(self._device, input_devices())
        if self._channel and self._channel > info["channels"]:
            raise WrongUse(
                f"input device {info['name']!r} has {info['channels']} channel(s), not channel {self._channel}"
            )
        # Sound servers offer any number of channels and mix to the number that is asked for.
        channels = self._channel or (info["channels"] if info["channels"] <= MOST_CHANNELS else 1)
        rate = self._rate
        if rate is None:
            try:
                sounddevice.check_input_settings(info["index"], channels, "float32", samplerate=self._model_rate)
                rate = self._model_rate
            except sounddevice.PortAudioError:
                rate = info["rate"]
        return MicrophoneCapture(info, self._channel, channels, rate)


class MicrophoneCapture:
    """An open device."""

    def __init__(self, info: dict[str, Any], channel: int | None, channels: int, rate: int) -> None:
        """Raises AsitEdgeError if the device cannot be opened so."""
        sounddevice = _portaudio.module()
        self.device_name: str = info["name"]
        self.rate = rate
        self.ring = Ring(RING_SECONDS * rate, 1 if channel else channels)
        self.overflows = 0
        self._columns = slice(channel - 1, channel) if channel else slice(None)
        self._finished = False
        self._stopped = False
        self._interrupted = ""
        self._closer: threading.Thread | None = None
        try:
            self._stream = sounddevice.InputStream(
                samplerate=rate,
                device=info["index"],
                channels=channels,
                dtype="float32",
                latency="high",
                callback=self._on_audio,
                finished_callback=self._on_finished,
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise AsitEdgeError(
                f"microphone {self.device_name!r} cannot be opened at {rate} Hz with {channels} channel(s): "
                f"{one_line(error)}; see asit-edge devices"
            ) from None
        _portaudio.open.add(self)

    def stop(self) -> None:
        self._stopped = True
        if self._closer is None:
            self._closer = threading.Thread(target=self._close, name="microphone-close", daemon=True)
            self._closer.start()
        self._closer.join(timeout=CLOSING_SECONDS)

    def interrupt(self, why: str) -> None:
        """Closes the device although it works; for the holder of the lock."""
        self._interrupted = f"microphone {self.device_name!r} is opened again: {why}"
        self._close()

    def _close(self) -> None:
        with _portaudio.lock:
            if self not in _portaudio.open:
                return
            _portaudio.open.discard(self)
            _portaudio.hanging += 1
            closer = threading.Thread(target=self._close_stream, name="portaudio-close", daemon=True)
            closer.start()
            closer.join(timeout=CLOSING_SECONDS)

    def _close_stream(self) -> None:
        self._stream.close(ignore_errors=True)
        _portaudio.hanging -= 1

    @property
    def ended(self) -> str | None:
        if self._stopped:
            return ""
        if self._interrupted:
            return self._interrupted
        if self._finished:
            return f"microphone {self.device_name!r} was lost (unplugged, or the sound server stopped)"
        return None

    def _on_audio(self, block: Any, _frames: int, _time: Any, status: Any) -> None:
        if status.input_overflow:
            self.overflows += 1
        self.ring.write(block[:, self._columns], steady())

    def _on_finished(self) -> None:
        self._finished = True
