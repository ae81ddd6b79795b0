"""SIGHUP: a terminal that goes away ends a listener in order, and a service does not care."""

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import soundfile
import yaml

from tests.conftest import RATE, ROOT, tones
from tests.integration.mosquitto import wait_for


def listen(folder: Path, bundle: Path, terminal: int | None, *before: str) -> "subprocess.Popen[bytes]":
    """A listener to a tone that lasts for half a minute, in a session of its own; `terminal` controls it."""
    sound, config = folder / "sound.wav", folder / "config.yaml"
    soundfile.write(sound, tones((500, 30)), RATE)
    settings = {
        "model": str(bundle),
        "sources": [{"type": "file", "name": "mic", "path": str(sound)}],
        "events": {"update_every": 0.5},
        "store": {"path": str(folder / "events.db")},
    }
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")

    def take_terminal() -> None:
        if terminal is not None:
            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    with (folder / "out").open("wb") as out:
        return subprocess.Popen(
            [*before, sys.executable, "-m", "asit_edge", "listen", "--config", str(config)],
            cwd=ROOT,
            stdin=terminal if terminal is not None else subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=take_terminal,
        )


def types(folder: Path) -> list[str]:
    return [json.loads(line)["type"] for line in (folder / "out").read_text().splitlines()]


def goes_on(folder: Path) -> None:
    enough = len(types(folder)) + 3
    wait_for(lambda: len(types(folder)) >= enough, 30, "it goes on")


def test_when_its_terminal_goes_away_every_event_ends(tmp_path: Path, tone_bundle: Path) -> None:
    master, slave = pty.openpty()
    listener = listen(tmp_path, tone_bundle, slave)
    os.close(slave)
    wait_for(lambda: types(tmp_path), 60, "an event")
    os.close(master)
    assert listener.wait(timeout=60) == 0
    assert types(tmp_path)[-1] == "end"


def test_a_service_goes_on(tmp_path: Path, tone_bundle: Path) -> None:
    listener = listen(tmp_path, tone_bundle, None)
    wait_for(lambda: types(tmp_path), 60, "an event")
    for _ in range(3):
        listener.send_signal(signal.SIGHUP)
    goes_on(tmp_path)
    listener.terminate()
    assert listener.wait(timeout=60) == 0
    assert types(tmp_path)[-1] == "end"


def test_after_nohup_the_terminal_may_go_away(tmp_path: Path, tone_bundle: Path) -> None:
    master, slave = pty.openpty()
    listener = listen(tmp_path, tone_bundle, slave, "nohup")
    os.close(slave)
    wait_for(lambda: types(tmp_path), 60, "an event")
    os.close(master)
    goes_on(tmp_path)
    listener.terminate()
    assert listener.wait(timeout=60) == 0
