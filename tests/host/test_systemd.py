"""The service manager hears that we are ready, what we do, and that we live: only while every source makes progress."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from asit_edge.host.systemd import Systemd
from tests.conftest import tones
from tests.integration.mosquitto import wait_for


class Manager:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.socket.close()


def test_without_a_manager_nothing_happens() -> None:
    systemd = Systemd({})
    systemd.ready()
    systemd.watch({"mic": 1}, "listening")


def test_ready_status_and_stopping_are_told_once(manager: Manager) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": str(manager.path)})
    systemd.ready()
    for _ in range(3):
        systemd.watch({"mic": 1}, "mic: listening")
    systemd.stopping()
    assert manager.heard() == ["READY=1", "STATUS=mic: listening", "STOPPING=1"]


def test_the_watchdog_is_fed_only_while_every_source_makes_progress(manager: Manager) -> None:
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "2", "WATCHDOG_PID": str(os.getpid())}
    systemd = Systemd(environment)

    def fed(progress: dict[str, int]) -> bool:
        systemd.watch(progress, "")
        return "WATCHDOG=1" in manager.heard()

    assert not fed({}), "no audio comes"
    assert fed({"a": 0, "b": 5})
    assert not fed({"a": 0, "b": 6}), "a gets no decisions"
    assert not fed({"a": 0, "b": 7})
    assert fed({"a": 1, "b": 8})
    assert fed({"b": 9}), "a source that is away holds nothing up while another flows"
    assert not fed({"b": 9})
    assert not fed({})


def test_a_watchdog_that_is_meant_for_another_process_is_not_fed(manager: Manager) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "2", "WATCHDOG_PID": "1"})
    systemd.watch({"a": 1}, "")
    assert manager.heard() == []


def test_a_manager_that_is_gone_disturbs_nothing(tmp_path: Path) -> None:
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()


def test_a_listener_tells_its_manager_and_starves_the_watchdog_when_audio_stops(
    tmp_path: Path, tone_bundle: Path, manager: Manager
) -> None:
    listener = subprocess.Popen(
        [sys.executable, "-m", "asit_edge", "listen", "--stdin", "--model", str(tone_bundle)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            "XDG_STATE_HOME": str(tmp_path),
            "NOTIFY_SOCKET": str(manager.path),
            "WATCHDOG_USEC": "200000",
        },
    )
    assert listener.stdin is not None
    messages: list[str] = []

    def hears(message: str) -> bool:
        messages.extend(manager.heard())
        return message in messages

    try:
        wait_for(lambda: hears("READY=1"), 20, "READY=1")
        assert "WATCHDOG=1" not in messages, "no audio has come yet"
        for _ in range(100):
            listener.stdin.write(tones((0, 0.02)).astype("<f4").tobytes())  # as s16le, some noise
            listener.stdin.flush()
            time.sleep(0.02)
        wait_for(lambda: hears("WATCHDOG=1"), 20, "WATCHDOG=1")
        assert "STATUS=stdin: listening" in messages
        wait_for(lambda: hears("STATUS=stdin: stalled"), 20, "the stall")
        messages.clear()
        time.sleep(0.5)
        assert not hears("WATCHDOG=1")
        listener.stdin.close()
        assert listener.wait(20) == 0
        assert hears("STOPPING=1")
    finally:
        listener.kill()
