"""People's words for a source, a broker and a label are understood, or refused with what would be right."""

from typing import Any

import pytest

from asit_edge.audio.sources.microphone import find_device
from asit_edge.errors import WrongUse
from asit_edge.setup.answers import broker_of, label_of, source_of

DEVICES: list[dict[str, Any]] = [
    {"index": 0, "name": "HDA Intel PCH: ALC257 Analog (hw:0,0)", "usb": None},
    {"index": 4, "name": "C270 HD WEBCAM: USB Audio (hw:1,0)", "usb": "usb:046d:0825"},
]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", {"type": "microphone", "name": "microphone"}),
        ("default", {"type": "microphone", "name": "microphone"}),
        ("0", {"type": "microphone", "name": "microphone", "device": DEVICES[0]["name"]}),
        ("4", {"type": "microphone", "name": "microphone", "device": "usb:046d:0825"}),
        ("webcam", {"type": "microphone", "name": "microphone", "device": "webcam"}),
        ("rtsp://cam/x", {"type": "stream", "name": "stream", "url": "rtsp://cam/x"}),
    ],
)
def test_sources(words: str, found: dict[str, Any]) -> None:
    assert source_of(words, DEVICES) == found


def test_of_two_devices_of_one_identity_each_is_named_as_only_it_is() -> None:
    twins = [*DEVICES, {"index": 5, "name": "C270 HD WEBCAM: USB Audio (hw:2,0)", "usb": "usb:046d:0825"}]
    for index in (4, 5):
        device = source_of(str(index), twins)["device"]
        assert find_device(device, [{"default": False, **one} for one in twins])["index"] == index


def test_a_number_that_is_none_is_told_with_those_that_are() -> None:
    with pytest.raises(WrongUse, match=r"no input device number 2 \(there are: 0, 4\)"):
        source_of("2", DEVICES)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("broker.local", {"host": "broker.local"}),
        ("10.0.0.2:1884", {"host": "10.0.0.2", "port": 1884}),
        ("broker:8883", {"host": "broker", "port": 8883, "tls": {"enabled": True}}),
        ("mqtts://broker", {"host": "broker", "tls": {"enabled": True}}),
        ("mqtt://broker:1883/", {"host": "broker", "port": 1883}),
        ("[::1]:1883", {"host": "::1", "port": 1883}),
        ("fe80::1", {"host": "fe80::1"}),
    ],
)
def test_brokers(words: str, found: dict[str, Any]) -> None:
    assert broker_of(words) == found


@pytest.mark.parametrize("words", ["http://broker", "ann:s3cret@broker", "my broker", "broker:x", "broker/x"])
def test_what_is_no_broker_is_refused_without_repeating_it(words: str) -> None:
    with pytest.raises(WrongUse, match="the broker is a host, or host:port") as refused:
        broker_of(words)
    assert "s3cret" not in str(refused.value)


LABELS = ["Dog", "Hot dog", "Baby cry, infant cry", "Cat"]


def test_labels() -> None:
    assert label_of("dog", LABELS) == "Dog"
    assert label_of(" baby CRY", LABELS) == "Baby cry, infant cry"
    with pytest.raises(WrongUse, match="'o' fits more than one label: 'Dog', 'Hot dog'"):
        label_of("o", LABELS)
    with pytest.raises(WrongUse, match=r"no label 'Dgo' \(did you mean 'Dog'\?\)"):
        label_of("Dgo", LABELS)
    with pytest.raises(WrongUse, match="no label ' '"):
        label_of(" ", LABELS)
