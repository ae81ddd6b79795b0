"""Whoever reads what `listen` prints may hang: listening, storing and SIGTERM go on as if it did not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from asit_edge.errors import AsitEdgeError
from asit_edge.store.history import history
from tests.conftest import RATE, ROOT, tones
from tests.integration.mosquitto import wait_for


def full_pipe() -> tuple[int, int]:
    """A pipe that nobody reads, with no room left."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 512)
    except BlockingIOError:
        os.set_blocking(writing, True)
    return reading, writing


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_hangs_stops_neither_listening_nor_sigterm(
    tmp_path: Path, tone_bundle: Path, stream: str
) -> None:
    sound, store = tmp_path / "sound.wav", tmp_path / "events.db"
    soundfile.write(sound, tones(*[(0, 0.5), (500, 0.5), (0, 0.8)] * 5), RATE)
    config = tmp_path / "config.yaml"
    config.write_text(
        f"{{model: {tone_bundle}, store: {{path: {store}}}, events: {{merge_gap: 0.2}}, "
        f"sources: [{{type: file, path: {sound}}}, {{type: stream, name: away, url: 'http://127.0.0.1:9/'}}]}}",
        encoding="utf-8",
    )
    reading, writing = full_pipe()
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: writing}
    command = [sys.executable, "-m", "asit_edge", "listen", "--config", config]
    process = subprocess.Popen(command, cwd=ROOT, stdout=pipes["stdout"], stderr=pipes["stderr"])

    def ended() -> bool:
        try:
            return sum(event.type == "end" for event in history(store)) >= 4
        except AsitEdgeError:
            return False

    try:
        wait_for(ended, 40, "four events end")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        os.close(reading)
        os.close(writing)
