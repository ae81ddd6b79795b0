"""Choosing an input device by number, name or part of the name."""

from typing import Any

import pytest

from asit_edge.errors import WrongUse
from asit_edge.sources.microphone import find_device

DEVICES: list[dict[str, Any]] = [
    {"index": 0, "name": "HDA Intel: ALC257 (hw:0,0)", "default": False},
    {"index": 3, "name": "USB Audio: Yeti (hw:1,0)", "default": True},
    {"index": 4, "name": "USB Audio: Camera (hw:2,0)", "default": False},
    {"index": 7, "name": "pulse", "default": False},
    {"index": 8, "name": "pulse monitor", "default": False},
]


@pytest.mark.parametrize(
    ("wanted", "index"), [(None, 3), (0, 0), ("yeti", 3), ("CAMERA", 4), ("pulse", 7), ("monitor", 8)]
)
def test_a_device_is_found(wanted: int | str | None, index: int) -> None:
    assert find_device(wanted, DEVICES)["index"] == index


@pytest.mark.parametrize(("wanted", "message"), [(1, "no input device 1;"), ("tuba", "no input device 'tuba';")])
def test_an_unknown_device_is_answered_with_the_list(wanted: int | str, message: str) -> None:
    with pytest.raises(WrongUse, match=message) as error:
        find_device(wanted, DEVICES)
    assert all(device["name"] in str(error.value) for device in DEVICES)


def test_a_name_that_fits_two_devices_is_not_guessed() -> None:
    with pytest.raises(WrongUse, match="fits more than one"):
        find_device("usb audio", DEVICES)


def test_no_devices_at_all() -> None:
    with pytest.raises(WrongUse, match="no input device; devices: none"):
        find_device(None, [])


def test_without_a_default_the_first_is_taken() -> None:
    assert find_device(None, [{**device, "default": False} for device in DEVICES])["index"] == 0
