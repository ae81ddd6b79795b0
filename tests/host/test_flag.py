"""What a signal may raise at any moment."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from asit_edge.host.flag import Flag
from tests.conftest import ROOT

WAITS = """
import signal, time
from asit_edge.cli.shared.options import stop_on_signals

asked = stop_on_signals()
print("ready", flush=True)
end = time.monotonic() + 2
while time.monotonic() < end:
    asked.wait(0.0001)
    asked.clear()
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)  # an interpreter that ends no longer has handlers
"""


def test_signals_come_at_any_moment_and_nothing_hangs() -> None:
    """Whether the flag is being waited for, raised by a signal before, or taken down."""
    waiting = subprocess.Popen(
        [sys.executable, "-c", WAITS], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert waiting.stdout is not None
    with waiting.stdout as said:
        assert said.readline() == "ready\n"
    latest = time.monotonic() + 30
    while waiting.poll() is None:
        if time.monotonic() > latest:
            waiting.kill()
            pytest.fail("it hangs")
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(waiting.pid, number)
        time.sleep(0.00005)
    assert waiting.returncode == 0


def test_who_waits_goes_on_at_once_when_it_is_raised() -> None:
    flag, begun = Flag(), time.monotonic()
    threading.Timer(0.05, flag.set).start()
    assert flag.wait(30)
    assert time.monotonic() - begun < 10
    assert flag.wait(30)  # it stays raised


def test_it_is_raised_again_after_it_was_taken_down() -> None:
    flag = Flag()
    flag.set()
    flag.set()
    flag.clear()
    assert not flag.is_set()
    assert not flag.wait(0.01)
    flag.set()
    assert flag.wait(30)
    flag.clear()
    assert not flag.wait(-1)
