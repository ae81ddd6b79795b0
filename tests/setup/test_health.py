"""Who asks whether a listener lives is told so only while it does: a real one, that is stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from asit_edge.config.root import Config
from asit_edge.setup.health import health
from tests.integration.mosquitto import wait_for


def asked(config: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "asit_edge", "health", "--config", str(config), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_listener_that_lives_and_one_that_does_not(tone_bundle: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        f"model: {tone_bundle}\nstore: {{path: {tmp_path}/events.db}}\nsources: [{{type: stdin, name: pipe}}]\n",
        encoding="utf-8",
    )
    assert asked(config).returncode == 1
    assert "no listener has run here yet" in asked(config).stderr
    listener = subprocess.Popen(
        [sys.executable, "-m", "asit_edge", "listen", "--config", str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert listener.stdin is not None
        listener.stdin.write(os.urandom(32_000))
        listener.stdin.flush()
        wait_for((tmp_path / "heard.json").exists, 20, "the listener leaves its note")
        assert asked(config).returncode == 0
        done = asked(config, "--heard", "30")
        assert (done.returncode, done.stdout[:12]) == (0, "heard: pipe ")
    finally:
        listener.send_signal(signal.SIGTERM)
        listener.communicate(timeout=30)
    note = tmp_path / "heard.json"
    past = time.time() - 100
    os.utime(note, (past, past))
    done = asked(config)
    assert done.returncode == 1
    assert "the listener has given no sign for 1" in done.stderr


def test_a_source_that_is_away_is_no_fault_unless_asked_for(tmp_path: Path) -> None:
    config = Config.model_validate({"store": {"path": str(tmp_path / "events.db")}})
    note = tmp_path / "heard.json"
    note.write_text("{}", encoding="utf-8")
    assert health(config, 60, None) == (True, "heard: no source yet")
    assert not health(config, 60, 60).well
    note.write_text(f'{{"microphone": {time.time() - 90}, "other": {time.time()}}}', encoding="utf-8")
    assert health(config, 60, None).well
    assert not health(config, 60, 60).well
    note.write_text("[broken", encoding="utf-8")
    assert health(config, 60, None).well
