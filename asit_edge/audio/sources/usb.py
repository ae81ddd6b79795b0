"""Which sound card is which USB device: an identity that does not change with the order in which things are plugged in.

Linux only: read from sysfs. An identity is `usb:VENDOR:PRODUCT` or `usb:VENDOR:PRODUCT:SERIAL`, as `lsusb` and
`asit-edge devices` show it.
"""

import re
from pathlib import Path

SYSFS = Path("/sys/class/sound")
CARD_LIST = Path("/proc/asound/cards")


def usb_cards(root: Path = SYSFS) -> dict[int, str]:
    """ALSA card number to USB identity, in lower case, for every sound card that is a USB device."""
    cards = {}
    for card in sorted(root.glob("card[0-9]*")):
        device = (card / "device").resolve()  # the USB interface; the device is its parent
        for folder in (device, device.parent):
            vendor, product = _read(folder / "idVendor"), _read(folder / "idProduct")
            if vendor and product:
                serial = _read(folder / "serial")
                cards[int(card.name[4:])] = f"usb:{vendor}:{product}" + (f":{serial}" if serial else "")
                break
    return cards


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip().lower()
    except OSError:
        return ""


def alsa_card(device_name: str) -> int | None:
    """The card number in PortAudio's name of an ALSA device, such as 1 of "Yeti: USB Audio (hw:1,0)"."""
    found = re.search(r"\(hw:(\d+),\d+\)", device_name)
    return int(found.group(1)) if found else None


def card_list(file: Path = CARD_LIST) -> str:
    """The cards that ALSA has now; a change of it tells that something was plugged in or out."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
