"""`asit-edge devices`."""

import json
import sys
from typing import Annotated, Any

import typer

from asit_edge.errors import WrongUse, readable


def devices(
    device: Annotated[
        list[str] | None, typer.Argument(help="With --levels: only these, by number, name or part of it.")
    ] = None,
    levels: Annotated[bool, typer.Option("--levels", help="Show how loud they are, until stopped.")] = False,
    seconds: Annotated[
        float | None, typer.Option(min=0.5, max=86_400, help="With --levels: for so long, once they are open.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One device a line, as JSON.")] = False,
) -> None:
    """List the input devices and the sources of a sound server, and how config.yaml names each.

    The default one is marked with a star.
    """
    if levels:
        from asit_edge.cli.care.levels import show_levels

        show_levels(device or [], seconds, as_json)
        return
    if device or seconds is not None:
        raise WrongUse("devices: names of devices and --seconds go with --levels")
    found = [*_devices(), *_of_sound_server()]
    for one in found:
        if as_json:
            print(json.dumps(one, ensure_ascii=False))
            continue
        mark, index = "*" if one["default"] else " ", "" if one["index"] is None else one["index"]
        facts = f"{one['api']}, {one['channels']} in, {one['rate']} Hz" + (f", {one['usb']}" if one["usb"] else "")
        print(f"{mark} {index:>3}  {readable(one['name'])}  ({facts})")
        print(f"       - {in_config(one['config'])}")
    if not found and not as_json:
        print(
            "no input devices; is a microphone plugged in, and may this user record (group audio)?",
            file=sys.stderr,
        )


def in_config(source: dict[str, Any]) -> str:
    """One entry of `sources` in config.yaml, on one line."""
    return "{" + ", ".join(f"{key}: {_plain(value)}" for key, value in source.items()) + "}"


def _plain(value: Any) -> str:
    return value if value in ("microphone", "stream") else json.dumps(value, ensure_ascii=False)


def _devices() -> list[dict[str, Any]]:
    """PortAudio's."""
    from asit_edge.audio.sources.microphone import input_devices, lasting_name

    found = input_devices()
    for one in found:
        one["config"] = {"type": "microphone", "device": lasting_name(one, found)}
    return found


def _of_sound_server() -> list[dict[str, Any]]:
    """PulseAudio's or PipeWire's: PortAudio knows only the server's default one, ffmpeg all of them."""
    from asit_edge.host.sound_server import server_sources

    return [
        {
            "index": None,
            "name": one.name,
            "api": "PulseAudio",
            "channels": one.channels,
            "rate": one.rate,
            "default": False,
            "usb": None,
            "config": {"type": "stream", "url": one.name, "options": ["-f", "pulse"]},
            "server_default": one.default,
        }
        for one in server_sources()
    ]
