"""How long `asit-edge listen` takes from process start to its first audio block, and how much memory it then holds.

    python bench/cold_start.py [--runs 5] [listen options, such as --config FILE or --microphone pulse]

Needs something to listen to: a microphone, or a configuration with a file as source.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil


def one_run(options: list[str], settle: float, state: str) -> tuple[float, float]:
    """Seconds until the listener reports its first audio block; resident memory in MB `settle` seconds later."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "asit_edge", "listen", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_STATE_HOME": state},
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "listening at" in line:
                break
            print(line, end="", file=sys.stderr)
        else:
            raise SystemExit("the listener ended before it heard anything")
        seconds = time.monotonic() - began
        time.sleep(settle)
        return seconds, psutil.Process(process.pid).memory_info().rss / 1e6
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--settle", type=float, default=5.0, help="seconds of listening before memory is read")
    own, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as state:
        one_run(options, 0.0, state)  # warms the file cache, so that runs can be compared
        results = [one_run(options, own.settle, state) for _ in range(own.runs)]
    starts, memory = zip(*results, strict=True)
    print(f"cold start to first audio block: median {statistics.median(starts):.2f} s, worst {max(starts):.2f} s")
    print(f"resident memory while listening: median {statistics.median(memory):.0f} MB, worst {max(memory):.0f} MB")
    print(f"({own.runs} runs after one that warms the file cache; {Path(sys.executable).resolve().name})")


if __name__ == "__main__":
    main()
