"""PortAudio as it can be: initialised anew to see new devices, never while a device is open or its closing hangs."""

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from asit_edge.audio.sources import microphone
from asit_edge.audio.sources.microphone import Microphone
from asit_edge.errors import AsitEdgeError, WrongUse


class PortAudioError(Exception):
    pass


class FakeSoundDevice:
    """What `sounddevice` offers, with devices that are seen only when it is initialised after they were plugged in."""

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        self.plugged = ["Yeti: USB Audio (hw:1,0)"]
        self.default = SimpleNamespace(device=(0, 0))
        self._initialized = 1
        self.initialisations = 0
        self.closing = threading.Event()
        self.closing.set()
        self.streams: list[FakeStream] = []
        self._seen = list(self.plugged)

    def query_hostapis(self) -> list[dict[str, str]]:
        return [{"name": "ALSA"}]

    def query_devices(self) -> list[dict[str, Any]]:
        facts = {"hostapi": 0, "max_input_channels": 2, "default_samplerate": 44_100.0}
        return [{"index": index, "name": name, **facts} for index, name in enumerate(self._seen)]

    def check_input_settings(self, *_: Any, samplerate: int) -> None:
        if samplerate not in (44_100, 48_000):
            raise PortAudioError("Invalid sample rate")

    def InputStream(self, **settings: Any) -> "FakeStream":
        if self._seen[settings["device"]] not in self.plugged:
            raise PortAudioError("Device unavailable")
        self.streams.append(FakeStream(self, **settings))
        return self.streams[-1]

    def _terminate(self) -> None:
        assert all(stream.closed for stream in self.streams), "streams are closed before PortAudio is terminated"
        self._initialized -= 1

    def _initialize(self) -> None:
        self._initialized += 1
        self.initialisations += 1
        self._seen = list(self.plugged)


class FakeStream:
    def __init__(self, module: FakeSoundDevice, callback: Callable[..., None], **settings: Any) -> None:
        self._module = module
        self.callback = callback
        self.finished = settings["finished_callback"]
        self.closed = False

    def start(self) -> None: ...

    def close(self, ignore_errors: bool) -> None:
        self._module.closing.wait(10)
        self.closed = True


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSoundDevice]:
    fake = FakeSoundDevice()
    portaudio = microphone._PortAudio()
    portaudio._module = fake
    monkeypatch.setattr(microphone, "_portaudio", portaudio)
    monkeypatch.setattr(microphone, "CLOSING_SECONDS", 0.1)
    monkeypatch.setattr(microphone, "card_list", lambda: "\n".join(fake.plugged))
    portaudio._cards = "\n".join(fake.plugged)
    yield fake
    fake.closing.set()


def test_a_device_is_opened_at_its_own_rate_where_it_has_not_the_models(device: FakeSoundDevice) -> None:
    capture = Microphone("mic", "yeti", 2, None, 16_000).open()
    assert (capture.rate, capture.ring.channels) == (44_100, 1)
    device.streams[0].callback(np.float32([[1, 3], [2, 4]]), 2, None, SimpleNamespace(input_overflow=False))
    assert capture.ring.read(10).samples[:, 0].tolist() == [3, 4], "only the channel that is wanted is kept"
    capture.stop()
    assert device.streams[0].closed


def test_a_channel_that_is_not_there_needs_another_configuration(device: FakeSoundDevice) -> None:
    with pytest.raises(WrongUse, match=r"has 2 channel\(s\), not channel 3"):
        Microphone("mic", "yeti", 3, None, 16_000).open()


def test_a_device_that_is_plugged_in_later_is_found(device: FakeSoundDevice) -> None:
    device.plugged.clear()
    device._initialize()
    mic = Microphone("mic", "yeti", None, None, 16_000)
    with pytest.raises(AsitEdgeError, match="no input device 'yeti'; devices: none"):
        mic.open()
    device.plugged.append("Yeti: USB Audio (hw:2,0)")
    assert mic.open().ended is None


def test_others_are_interrupted_for_a_new_device_only(device: FakeSoundDevice) -> None:
    first, second = (Microphone(name, name, None, None, 16_000) for name in ("yeti", "camera"))
    capture = first.open()
    for _ in range(3):
        with pytest.raises(AsitEdgeError, match="no input device 'camera'"):
            second.open()
    assert capture.ended is None
    assert device.initialisations == 0
    device.plugged.append("Camera: USB Audio (hw:2,0)")
    assert second.open().ended is None
    assert capture.ended is not None
    assert "opened again: the sound system was scanned" in capture.ended
    assert first.open().ended is None


def test_a_device_whose_closing_hangs_holds_nobody_up(device: FakeSoundDevice) -> None:
    mic = Microphone("mic", "yeti", None, None, 16_000)
    capture = mic.open()
    device.streams[0].finished()
    assert capture.ended is not None
    device.closing.clear()
    capture.stop()
    assert mic.open().ended is None, "another stream of the device can be had"
    assert device.initialisations == 0, "but PortAudio cannot be terminated"
    device.closing.set()


def test_a_device_that_cannot_be_opened_is_named_with_the_reason(device: FakeSoundDevice) -> None:
    device.plugged.clear()
    with pytest.raises(AsitEdgeError, match=r"'Yeti.*cannot be opened at 44100 Hz with 2 channel\(s\): Device unavail"):
        Microphone("mic", 0, None, None, 16_000).open()
