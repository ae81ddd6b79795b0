"""`asit-edge devices` with a real sound server: what it names can be configured, and meters move with the sound."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
import yaml

from tests.conftest import RATE, tones
from tests.integration.mosquitto import wait_for
from tests.integration.pulse import Pulse, require_alsa_pulse


@pytest.fixture(scope="module")
def pulse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulse]:
    """With two rooms, of which the second has a sound in it."""
    folder = tmp_path_factory.mktemp("pulse")
    pulse = Pulse(folder)
    pulse.start()
    require_alsa_pulse(pulse)
    pulse.control("load-module", "module-null-sink", "sink_name=attic", "rate=48000", "channels=2")
    sound = folder / "tone.wav"
    soundfile.write(sound, tones((500, 60)), RATE, subtype="PCM_16")
    player = subprocess.Popen(["paplay", "--device=attic", sound], env=pulse.environment)
    yield pulse
    player.kill()
    pulse.kill()


def devices(pulse: Pulse, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "asit_edge", "devices", *options]
    return subprocess.run(command, env=pulse.environment, capture_output=True, text=True, timeout=60)


def test_a_servers_sources_are_listed_behind_the_devices(pulse: Pulse) -> None:
    found = [json.loads(line) for line in devices(pulse, "--json").stdout.splitlines()]
    fields = ["index", "name", "api", "channels", "rate", "default", "usb", "config"]
    assert all(list(one)[: len(fields)] == fields for one in found)
    server = [one for one in found if one["api"] == "PulseAudio"]
    assert [(one["index"], one["name"], one["server_default"]) for one in server] == [
        (None, "room.monitor", True),
        (None, "attic.monitor", False),
    ]
    assert found[-2:] == server


def test_what_it_names_is_listened_to(pulse: Pulse, tmp_path: Path, tone_bundle: Path) -> None:
    """The sound is in the second room, which is not the server's default."""
    lines = devices(pulse).stdout.splitlines()
    [entry] = [line for line in lines if "- {" in line and "attic" in line]
    config = tmp_path / "config.yaml"
    store = {"model": str(tone_bundle), "store": {"path": str(tmp_path / "events.db")}}
    config.write_text(f"{yaml.safe_dump(store)}sources:\n{entry}\n")
    output = tmp_path / "out"
    with output.open("wb") as stdout:
        command = [sys.executable, "-m", "asit_edge", "listen", "--config", config]
        listener = subprocess.Popen(command, env=pulse.environment, stdout=stdout, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: b"Low tone" in output.read_bytes(), 20, "the tone is heard")
    finally:
        listener.terminate()
        listener.wait(timeout=20)


def test_meters_are_lines_where_they_are_read_by_programs(pulse: Pulse) -> None:
    done = devices(pulse, "--levels", "--seconds", "2", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, list[float]] = {}
    for line in done.stdout.splitlines():
        level = json.loads(line)
        assert list(level) == ["name", "dbfs", "peak_dbfs", "rms"]
        found.setdefault(level["name"], []).append(level["dbfs"])
    assert set(found) == {"default", "room.monitor", "attic.monitor"}
    assert max(found["attic.monitor"]) > -20
    assert max(found["room.monitor"]) == -120
    assert done.stderr == ""


def test_one_that_there_is_not_is_named_with_those_that_there_are(pulse: Pulse) -> None:
    done = devices(pulse, "--levels", "--seconds", "3", "attic.monitor", "tuba")
    assert done.returncode == 1
    assert done.stderr.startswith("asit-edge: error: no input device 'tuba'; devices: ")


def test_meters_are_bars_in_a_terminal(pulse: Pulse) -> None:
    import os
    import pty

    main, side = pty.openpty()
    command = [sys.executable, "-m", "asit_edge", "devices", "--levels", "--seconds", "1", "attic.monitor"]
    environment = {**pulse.environment, "TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen(command, stdout=side, stderr=side, stdin=subprocess.DEVNULL, env=environment)
    os.close(side)
    output = b""
    while True:
        try:
            part = os.read(main, 4_096)
        except OSError:  # Linux, when the other side is closed
            break
        if not part:
            break
        output += part
    assert process.wait(timeout=60) == 0
    text = output.decode()
    assert "█" * 20 in text
    assert "dBFS" in text
    assert text.endswith("\x1b[?25h"), "the cursor is back"
