"""What a sound server (PulseAudio, or PipeWire in its place) can record from, by name, as its tool `pactl` tells."""

import os
import shutil
import subprocess
from typing import NamedTuple

ASK_SECONDS = 5.0


class ServerSource(NamedTuple):
    """`rate` in Hz; a monitor hears what is played on an output."""

    name: str
    channels: int
    rate: int
    default: bool

    @property
    def monitor(self) -> bool:
        return self.name.endswith(".monitor")


def server_sources() -> list[ServerSource]:
    """All of them; none where no server answers, or `pactl` is not installed."""
    program = shutil.which("pactl")
    if program is None:
        return []
    default = next((line for line in _ask(program, "get-default-source") if line), "")
    return parse_sources(_ask(program, "list", "short", "sources"), default.strip())


def parse_sources(lines: list[str], default: str) -> list[ServerSource]:
    """Lines of `pactl list short sources`: index, name, module, such as `s16le 2ch 44100Hz`, and state, with tabs."""
    found = []
    for line in lines:
        fields = line.split("\t")
        if len(fields) < 4:
            continue
        facts = fields[3].split()
        channels = next((one[:-2] for one in facts if one.endswith("ch") and one[:-2].isdecimal()), "0")
        rate = next((one[:-2] for one in facts if one.endswith("Hz") and one[:-2].isdecimal()), "0")
        found.append(ServerSource(fields[1], int(channels), int(rate), fields[1] == default))
    return found


def _ask(program: str, *words: str) -> list[str]:
    try:
        done = subprocess.run(
            [program, *words],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ASK_SECONDS,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []
