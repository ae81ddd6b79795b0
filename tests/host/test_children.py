"""Children die with their parent, however it dies and whatever they are doing."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import yaml

from asit_edge.host import children
from tests.conftest import ROOT, require, require_programs
from tests.integration.mosquitto import wait_for


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE  # of whoever has adopted it
    except psutil.NoSuchProcess:
        return True


def test_a_stopped_child_does_not_outlive_a_killed_parent() -> None:
    require(bool(children.dying_with_parent()), "setpriv with --pdeathsig")
    program = (
        "import threading, time\n"
        "from asit_edge.host import children\n"
        "def begin(): print(children.start(['sleep', '60']).pid, flush=True)\n"
        "threading.Thread(target=begin).start()\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(0.3)
    assert not gone(child), "the thread that asked for it has ended, the process has not"
    os.kill(child, signal.SIGSTOP)
    parent.kill()
    parent.wait()
    wait_for(lambda: gone(child), 30, "the child is gone")


def test_a_child_is_used_as_any_other() -> None:
    found: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(
        target=lambda: found.append(children.start(["sh", "-c", "cat; exit 3"], stdin=-1, stdout=-1))
    )
    thread.start()
    thread.join()
    [child] = found
    assert child.communicate(b"through a pipe", timeout=10)[0] == b"through a pipe"
    assert child.returncode == 3
    killed = children.start(["sleep", "60"])
    killed.kill()
    assert killed.wait(timeout=10) == -signal.SIGKILL


def test_a_program_that_is_not_there_is_said() -> None:
    with pytest.raises(FileNotFoundError):
        children.start(["no-such-program"])


def test_without_the_means_children_start_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "dying_with_parent", list)
    child = children.start(["sh", "-c", "exit 4"])
    assert child.wait(timeout=10) == 4


def test_an_ffmpeg_that_hangs_does_not_outlive_its_listener(tmp_path: Path, tone_bundle: Path) -> None:
    require_programs("ffmpeg")
    require(bool(children.dying_with_parent()), "setpriv with --pdeathsig")
    config = tmp_path / "config.yaml"
    stream = {"type": "stream", "name": "mic", "url": "sine=frequency=500", "options": ["-re", "-f", "lavfi"]}
    settings = {"model": str(tone_bundle), "sources": [stream], "store": {"path": str(tmp_path / "events.db")}}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    listener = subprocess.Popen(
        [sys.executable, "-m", "asit_edge", "listen", "--config", config], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert listener.stdout is not None
    listener.stdout.readline()  # an event: it runs
    [ffmpeg] = [one for one in psutil.Process(listener.pid).children() if one.name() == "ffmpeg"]
    ffmpeg.suspend()
    listener.kill()
    listener.wait()
    wait_for(lambda: gone(ffmpeg.pid), 30, "ffmpeg is gone")
