"""How long it takes from a click played into a virtual microphone to the event's row in the store.

    python bench/click.py [--clicks 200] [--interval 0.16]

Needs PulseAudio and onnx. A null sink is the room: short bursts of a tone are played into it by another process, at
random times, and `asit-edge listen` hears its monitor with a model that knows the tone at once: what is measured is
the path: buffers of player, sound server and PortAudio, front end, wait for the next decision, tracker, commit. An
event is printed right after its row is committed; that is when it counts.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.conftest import write_tone_bundle
from tests.integration.pulse import Pulse

RATE = 16_000
CLICK = 0.25
"""Seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=200)
    parser.add_argument("--interval", type=float, default=0.16, help="between decisions, seconds, up to 0.16")
    own = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pulse = Pulse(Path(folder) / "pulse")
        pulse.start()
        try:
            delays, onsets = measure(Path(folder), pulse, own.clicks, own.interval)
        finally:
            pulse.kill()
    for name, values in (("click to event row", delays), ("click to the event's onset", onsets)):
        low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
        print(f"{name}: p5 {low:.3f} s, p50 {middle:.3f} s, p95 {high:.3f} s")
    print(f"({len(delays)} of {own.clicks} clicks, a decision every {own.interval:g} s)")


def measure(folder: Path, pulse: Pulse, clicks: int, interval: float) -> tuple[list[float], list[float]]:
    """Seconds from each click to its row, and to the onset that the row tells."""
    bundle = write_tone_bundle(folder / "tones")
    config = {
        "model": str(bundle),
        "sources": [{"type": "microphone", "name": "mic", "device": "pulse"}],
        "events": {"interval": interval, "merge_gap": 0.0, "update_every": 0},
        "store": {"path": str(folder / "events.db")},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [sys.executable, "-m", "asit_edge", "listen", "--config", str(folder / "config.yaml")]
    listener = subprocess.Popen(
        command, env=pulse.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert listener.stdout is not None
    assert listener.stderr is not None
    while "listening" not in listener.stderr.readline():
        pass
    rows: list[tuple[float, float]] = []

    def collect() -> None:
        assert listener.stdout is not None
        for line in listener.stdout:
            event = json.loads(line)
            if event["type"] == "new":
                rows.append((time.time(), event["onset_epoch"]))

    threading.Thread(target=collect, daemon=True).start()
    player = subprocess.Popen(
        ["pacat", "--playback", "--raw", "--format=s16le", f"--rate={RATE}", "--channels=1", "--latency-msec=20"],
        env=pulse.environment,
        stdin=subprocess.PIPE,
    )
    assert player.stdin is not None
    rng = random.Random(0)
    noise = (np.random.default_rng(0).standard_normal(RATE // 100) * 3).astype("<i2").tobytes()
    tone = (10_000 * np.sin(2 * np.pi * 500 * np.arange(round(CLICK * RATE)) / RATE)).astype("<i2").tobytes()
    played: list[float] = []
    began, sent = time.monotonic(), 0
    next_click = 3.0
    while len(played) < clicks or sent / RATE < next_click + 1:
        block = noise
        if len(played) < clicks and sent / RATE >= next_click:
            block = tone
            played.append(time.time())
            next_click = sent / RATE + rng.uniform(1.0, 1.4)
        player.stdin.write(block)
        player.stdin.flush()
        sent += len(block) // 2
        time.sleep(max(sent / RATE - (time.monotonic() - began), 0))
    player.kill()
    listener.terminate()
    listener.wait(20)
    delays, onsets = [], []
    for click in played:
        found = [row for row in rows if 0 < row[0] - click < 1.0]
        if found:
            delays.append(found[0][0] - click)
            onsets.append(found[0][1] - click)
    return delays, onsets


if __name__ == "__main__":
    main()
