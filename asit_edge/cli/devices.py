"""`asit-edge devices`."""

import json
import sys
from typing import Annotated

import typer


def devices(
    as_json: Annotated[bool, typer.Option("--json", help="One device a line, as JSON.")] = False,
) -> None:
    """List the input devices; the default one is marked with a star."""
    from asit_edge.audio.sources.microphone import input_devices

    found = input_devices()
    for device in found:
        if as_json:
            print(json.dumps(device, ensure_ascii=False))
        else:
            mark = "*" if device["default"] else " "
            facts = f"{device['api']}, {device['channels']} in, {device['rate']} Hz"
            facts += f", {device['usb']}" if device["usb"] else ""
            print(f"{mark} {device['index']:>3}  {device['name']}  ({facts})")
    if not found and not as_json:
        print(
            "no input devices; is a microphone plugged in, and may this user record (group audio)?",
            file=sys.stderr,
        )
