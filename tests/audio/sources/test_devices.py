"""Choosing an input device by number, name or part of the name."""

from pathlib import Path
from typing import Any

import pytest

from asit_edge.audio.sources.microphone import find_device
from asit_edge.audio.sources.usb import alsa_card, usb_cards
from asit_edge.errors import AsitEdgeError, WrongUse

DEVICES: list[dict[str, Any]] = [
    {"index": 0, "name": "HDA Intel: ALC257 (hw:0,0)", "default": False},
    {"index": 3, "name": "USB Audio: Yeti (hw:1,0)", "default": True, "usb": "usb:b58e:9e84:797_2018/07/03"},
    {"index": 4, "name": "USB Audio: Camera (hw:2,0)", "default": False, "usb": "usb:046d:0825"},
    {"index": 7, "name": "pulse", "default": False},
    {"index": 8, "name": "pulse monitor", "default": False},
]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        *[(None, 3), (0, 0), ("yeti", 3), ("CAMERA", 4), ("pulse", 7), ("monitor", 8)],
        *[("usb:046d:0825", 4), ("USB:B58E:9E84", 3), ("usb:b58e:9e84:797_2018/07/03", 3)],
    ],
)
def test_a_device_is_found(wanted: int | str | None, index: int) -> None:
    assert find_device(wanted, DEVICES)["index"] == index


@pytest.mark.parametrize(("wanted", "message"), [(1, "no input device 1;"), ("tuba", "no input device 'tuba';")])
def test_an_unknown_device_is_answered_with_the_list(wanted: int | str, message: str) -> None:
    with pytest.raises(AsitEdgeError, match=message) as error:
        find_device(wanted, DEVICES)
    assert not isinstance(error.value, WrongUse), "it may be plugged in later"
    assert all(device["name"] in str(error.value) for device in DEVICES)


def test_a_name_that_fits_two_devices_is_not_guessed() -> None:
    with pytest.raises(WrongUse, match="fits more than one"):
        find_device("usb audio", DEVICES)


@pytest.mark.parametrize("wanted", ["usb:046d:08", "usb:046d:0825:1", "usb:b58e:9e84:7"])
def test_an_identity_is_whole_or_it_is_another(wanted: str) -> None:
    with pytest.raises(AsitEdgeError, match="no input device"):
        find_device(wanted, DEVICES)


def test_usb_cards_are_known_by_vendor_product_and_serial(tmp_path: Path) -> None:
    for number, facts in (
        (0, {}),  # on the board
        (1, {"idVendor": "B58E\n", "idProduct": "9e84\n", "serial": "797_2018/07/03\n"}),
        (2, {"idVendor": "046d\n", "idProduct": "0825\n"}),
    ):
        device = tmp_path / "devices" / f"1-{number}"
        interface = device / f"1-{number}:1.0"
        interface.mkdir(parents=True)
        for name, text in facts.items():
            (device / name).write_text(text, encoding="utf-8")
        card = tmp_path / "class" / f"card{number}"
        card.mkdir(parents=True)
        (card / "device").symlink_to(interface)
    assert usb_cards(tmp_path / "class") == {1: "usb:b58e:9e84:797_2018/07/03", 2: "usb:046d:0825"}
    assert usb_cards(tmp_path / "nothing") == {}


@pytest.mark.parametrize(("name", "card"), [("Yeti: USB Audio (hw:11,0)", 11), ("pulse", None), ("hw:1,0", None)])
def test_the_card_is_read_from_the_name(name: str, card: int | None) -> None:
    assert alsa_card(name) == card


def test_no_devices_at_all() -> None:
    with pytest.raises(AsitEdgeError, match="no input device; devices: none"):
        find_device(None, [])


def test_without_a_default_the_first_is_taken() -> None:
    assert find_device(None, [{**device, "default": False} for device in DEVICES])["index"] == 0
