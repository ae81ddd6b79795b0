"""The builder has a control group of its own: the kernel ends it there where memory runs out, and the listener goes on.

The control groups are the kernel's, and so is the end. In systemd's place stand the lines of the unit, and a
`systemd-run` that puts what it runs into the group.
"""

import logging
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from asit_edge.config.root import Config, TensorRTSettings
from asit_edge.host import delegated
from asit_edge.host.delegated import CLAIMED, REQUEST
from asit_edge.model.backends import choice
from asit_edge.model.backends.build import asked_in
from asit_edge.model.backends.choice import BUILD_UNIT, Parts, build_apart, open_backend
from asit_edge.model.backends.onnx import OnnxWindows
from asit_edge.model.bundle import load_bundle
from tests.conftest import ROOT, require
from tests.model.backends.fake_gpu import FakeTensorRT, HostCuda
from tests.model.backends.test_choice import on_engine, wait_for

MEMORY = 24 << 20
"""Less than a builder needs to begin with."""
WINDOWS = np.random.default_rng(0).standard_normal((1, 64, 128)).astype(np.float32)
BUILD = ROOT / "systemd" / "asit-edge-build.service"


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group below our own that may use that much memory."""
    mine = dict(line.strip().split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    first = "memory" in mine  # version 1 of control groups
    parent = Path(f"/sys/fs/cgroup{'/memory' if first else ''}{mine.get('memory', mine.get('', ''))}")
    made = parent / f"asit-edge-test-{os.getpid()}"
    try:
        made.mkdir()
        (made / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(MEMORY))
    except OSError as error:
        if made.is_dir():
            made.rmdir()
        require(False, f"leave to make control groups with a memory limit ({error.strerror})")
    yield made
    made.rmdir()


class Listener:
    """Listens on ONNX Runtime, with a GPU for which an engine would have to be built apart."""

    def __init__(self, bundle: Path, engines: Path) -> None:
        cuda = HostCuda()
        config = Config(backend="tensorrt", tensorrt=TensorRTSettings(engines=engines))
        self.backend = open_backend(
            load_bundle(bundle), config, True, Parts(lambda: FakeTensorRT(cuda), lambda: cuda, build_apart)
        )
        self.reference = OnnxWindows(load_bundle(bundle))

    def goes_on(self) -> None:
        scores = self.backend.score(WINDOWS)  # type: ignore[union-attr]
        np.testing.assert_allclose(scores, self.reference.score(WINDOWS), atol=1e-6)
        assert not on_engine(self.backend)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(delegated, "EVERY", 0.02)
    return tmp_path / "cache"


def line(key: str) -> list[str]:
    """A command of the builder's unit, with this Python."""
    [found] = [one for one in BUILD.read_text().splitlines() if one.startswith(f"{key}=")]
    program, *arguments = shlex.split(found.partition("=")[2])
    assert program == "/opt/asit-edge/bin/python"
    return [sys.executable, *arguments]


def unit(group: Path | None) -> threading.Thread:
    """What systemd does when the request is there: once."""

    def run() -> None:
        end = time.monotonic() + 20
        while not (asked_in() / REQUEST).exists() and time.monotonic() < end:
            time.sleep(0.02)
        start = line("ExecStart")
        if group is not None:  # as far as reading the request every builder gets
            (asked_in() / REQUEST).rename(asked_in() / CLAIMED)
            start = in_group(group, start)
        done = subprocess.run(start, capture_output=True, timeout=60, check=False)
        result = {0: "success", -9: "oom-kill"}.get(done.returncode, "exit-code")
        subprocess.run(line("ExecStopPost"), env={**os.environ, "SERVICE_RESULT": result}, timeout=60, check=True)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def in_group(group: Path, command: list[str]) -> list[str]:
    return ["sh", "-c", f'echo $$ >"{group}/cgroup.procs" && exec "$@"', "sh", *command]


def test_the_unit_beside_the_service_is_ended_and_the_listener_goes_on(
    group: Path, tone_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(BUILD_UNIT, BUILD.name)
    systemd = unit(group)
    with caplog.at_level(logging.WARNING):
        listener = Listener(tone_bundle, tmp_path / "engines")
        listener.goes_on()  # while it is built
        wait_for(lambda: "no engine could be built" in caplog.text)
    systemd.join(60)
    assert "the builder ran out of memory; see journalctl -u asit-edge-build" in caplog.text
    assert list(asked_in().iterdir()) == []
    listener.goes_on()


def test_what_the_unit_says_is_what_the_listener_says(
    tone_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(BUILD_UNIT, BUILD.name)
    systemd = unit(None)
    with caplog.at_level(logging.WARNING):
        listener = Listener(tone_bundle, tmp_path / "engines")
        wait_for(lambda: "no engine could be built" in caplog.text)
    systemd.join(60)
    assert "no engine could be built (TensorRT is not installed for this Python" in caplog.text
    listener.goes_on()


def test_where_the_unit_is_not_enabled_a_child_builds_and_that_is_said(
    tone_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(BUILD_UNIT, BUILD.name)
    monkeypatch.setattr(choice, "ask", partial(delegated.ask, patience=0.1))
    with caplog.at_level(logging.WARNING):
        listener = Listener(tone_bundle, tmp_path / "engines")
        wait_for(lambda: "no engine could be built" in caplog.text)
    assert "sudo systemctl enable --now asit-edge-build.path" in caplog.text
    assert "no engine could be built (TensorRT is not installed for this Python" in caplog.text
    listener.goes_on()


def test_a_scope_is_ended_and_the_listener_goes_on(
    group: Path, tone_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    program = tmp_path / "bin" / "systemd-run"
    program.parent.mkdir()
    inside = f'while [ "$1" != -- ]; do shift; done; shift\necho $$ >"{group}/cgroup.procs"\nexec "$@"\n'
    program.write_text(f"#!/bin/sh\n{inside}", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        listener = Listener(tone_bundle, tmp_path / "engines")
        listener.goes_on()
        wait_for(lambda: "no engine could be built" in caplog.text)
    assert "the builder was ended by the kernel, as it does where memory runs out" in caplog.text
    listener.goes_on()
