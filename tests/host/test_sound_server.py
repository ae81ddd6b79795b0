"""What `pactl` says, and that it may hang, fail or not be there."""

import time
from pathlib import Path

import pytest

from asit_edge.host import sound_server
from asit_edge.host.sound_server import ServerSource, parse_sources, server_sources

SHORT = """\
0\talsa_output.pci-0000_00_1f.3.analog-stereo.monitor\tmodule-alsa-card.c\ts16le 2ch 44100Hz\tSUSPENDED
1\talsa_input.usb-Blue_Yeti-00.analog-stereo\tPipeWire\tfloat32le 2ch 48000Hz\tRUNNING
not a line of this kind
2\todd\tmodule\twho knows\tIDLE
"""


def test_sources_are_read_with_channels_rate_and_the_default() -> None:
    yeti = "alsa_input.usb-Blue_Yeti-00.analog-stereo"
    found = parse_sources(SHORT.splitlines(), yeti)
    assert found == [
        ServerSource("alsa_output.pci-0000_00_1f.3.analog-stereo.monitor", 2, 44_100, False),
        ServerSource(yeti, 2, 48_000, True),
        ServerSource("odd", 0, 0, False),
    ]
    assert [one.monitor for one in found] == [True, False, False]


@pytest.mark.parametrize("script", ["exit 1", "exec sleep 30", r"printf '\377\376'"])
def test_a_server_that_is_not_there_hangs_or_babbles_has_no_sources(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str
) -> None:
    program = tmp_path / "pactl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(sound_server, "ASK_SECONDS", 0.3)
    began = time.monotonic()
    assert server_sources() == []
    assert time.monotonic() - began < 5


def test_without_the_program_there_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert server_sources() == []
