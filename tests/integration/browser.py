"""A listener whose microphone is a pipe, its page, and a real browser that looks at it."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import yaml

from tests.conftest import RATE, ROOT, require_programs
from tests.integration.mosquitto import free_port, wait_for

RECORDING = ROOT / "asit_edge" / "recordings" / "demo.flac"
BLOCK = 0.1


def recording() -> np.ndarray:
    """The demonstration, mono, as a listener takes it on standard input."""
    samples, rate = soundfile.read(RECORDING, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(samples.mean(axis=1), rate, RATE))


class Listening:
    """`asit-edge listen` fed in real time, again and again, with a page on `port`."""

    def __init__(self, folder: Path, sound: np.ndarray, **settings: Any) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.store, self.log = folder / "events.db", folder / "log"
        config = {
            "device": "cottage",
            "sources": [{"type": "stdin", "name": "kitchen"}],
            "store": {"path": str(self.store)},
            **settings,
        }
        config["web"] = {"port": self.port, **settings.get("web", {})}
        self.config = folder / "config.yaml"
        self.config.write_text(yaml.safe_dump(config), encoding="utf-8")
        self._pcm = (np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes()
        self._environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
        self._over = threading.Event()

    def start(self) -> "Listening":
        self._over.clear()
        with self.log.open("ab") as log, self.store.with_suffix(".out").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "asit_edge", "listen", "--config", str(self.config)],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=log,
                env=self._environment,
                cwd=ROOT,
            )
        threading.Thread(target=self._feed, daemon=True).start()
        return self

    def stop(self) -> None:
        self._over.set()
        self.process.terminate()
        assert self.process.wait(timeout=30) == 0

    def events(self) -> list[dict[str, Any]]:
        """What it has printed."""
        return [json.loads(line) for line in self.store.with_suffix(".out").read_text().splitlines()]

    def _feed(self) -> None:
        begun, told = time.monotonic(), 0.0
        step = round(BLOCK * RATE) * 2
        with contextlib.suppress(OSError):
            while True:
                for begin in range(0, len(self._pcm), step):
                    if self._over.wait(max(begun + told - time.monotonic(), 0)):
                        return
                    assert self.process.stdin is not None
                    self.process.stdin.write(self._pcm[begin : begin + step])
                    self.process.stdin.flush()
                    told += BLOCK


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """The system's Chromium, without a screen."""
    require_programs("chromium")
    program = shutil.which("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()


def answers(listening: Listening) -> None:
    """Waits for the page."""

    def ask() -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{listening.url}/", timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    wait_for(ask, 60, "the page answers")
