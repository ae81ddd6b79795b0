"""What the page costs the listener, and whether anybody who asks it can make the listener miss something.

    python -m bench.page [--seconds 60]
    python -m bench.page --open 60

`asit-edge listen` hears the demonstration on standard input, in real time, again and again: without a page, with the
page closed, with one and with five that watch it (streams of events with the spectrogram, as browsers hold them), and
under 200 requests a second with a hundred connections that never come to the point (slow-loris). A table: processor
time in percent of a core, resident memory at the end, gaps. `--open`: how memory develops while one page stays
open for so many minutes.
"""

import argparse
import contextlib
import http.client
import json
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.integration.browser import Listening, answers, recording

REQUESTS = 200
"""A second."""

HELD = 100
"""Connections that send a byte now and then."""

SETTLE = 5.0
"""Seconds before anything is counted."""


class Cost(NamedTuple):
    processor: float
    """Percent of a core."""
    memory: float
    """MB."""
    gaps: int
    answered: int


class Crowd:
    """Threads that ask until they are told to stop."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.over = threading.Event()
        self.answered = 0
        self._threads: list[threading.Thread] = []

    def watch(self, pages: int) -> None:
        for _ in range(pages):
            self._start(self._watch)

    def flood(self) -> None:
        for _ in range(10):
            self._start(self._ask)
        self._start(self._hold)

    def stop(self) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(timeout=10)

    def _start(self, run: object) -> None:
        self._threads.append(threading.Thread(target=run, daemon=True))  # type: ignore[arg-type]
        self._threads[-1].start()

    def _watch(self) -> None:
        while not self.over.wait(0.2):  # comes back where it is hung up on, as a browser does
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                connection.request("GET", "/api/live")
                told = connection.getresponse()
                while not self.over.is_set() and told.readline():
                    self.answered += 1
                connection.close()

    def _ask(self) -> None:
        due = time.monotonic()
        while not self.over.wait(max(due - time.monotonic(), 0.0)):
            due += 10 / REQUESTS
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/api/state")
                self.answered += bool(connection.getresponse().read())
                connection.close()

    def _hold(self) -> None:
        held: list[socket.socket] = []
        while not self.over.wait(0.05):
            with contextlib.suppress(OSError):  # hung up on at once: again
                while len(held) < HELD:
                    held.append(socket.create_connection(("127.0.0.1", self.port), timeout=5))
                    held[-1].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            for one in list(held):
                try:
                    one.sendall(b"a")
                except OSError:
                    one.close()
                    held.remove(one)
        for one in held:
            one.close()


@contextmanager
def listener(enabled: bool) -> Iterator[Listening]:
    with tempfile.TemporaryDirectory() as folder:
        listening = Listening(Path(folder), recording(), web={"enabled": enabled}).start()
        if enabled:
            answers(listening)
        try:
            yield listening
        finally:
            listening.stop()


def cost(listening: Listening, crowd: Crowd, seconds: float) -> Cost:
    process = psutil.Process(listening.process.pid)
    time.sleep(SETTLE)
    begun, used = time.monotonic(), sum(process.cpu_times()[:2])
    time.sleep(seconds)
    share = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - begun)
    memory = process.memory_info().rss / 1e6
    crowd.stop()
    return Cost(100 * share, memory, listening.log.read_text().count("were not heard"), crowd.answered)


def stay_open(minutes: float) -> None:
    """A line every five minutes."""
    with listener(enabled=True) as listening:
        crowd = Crowd(listening.port)
        crowd.watch(1)
        process = psutil.Process(listening.process.pid)
        begun = time.monotonic()
        print(
            "| minutes | resident, MB | processor, % of a core | gaps | told to the page |\n|---|---|---|---|---|",
            flush=True,
        )
        for minute in (1.0, *(float(one) for one in range(5, round(minutes) + 1, 5))):
            time.sleep(max(begun + 60 * minute - time.monotonic(), 0.0))
            memory, used = process.memory_info().rss / 1e6, sum(process.cpu_times()[:2])
            share = 100 * used / (time.monotonic() - begun)
            gaps = listening.log.read_text().count("were not heard")
            print(f"| {minute:.0f} | {memory:.1f} | {share:.1f} | {gaps} | {crowd.answered} |", flush=True)
        crowd.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each row")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--open", type=float, metavar="MINUTES", help="only this: one page, for so long")
    own = parser.parse_args()
    if own.open:
        stay_open(own.open)
        return
    rows: dict[str, Cost] = {}
    for name, enabled, pages, flood in (
        ("no page (web.enabled: false)", False, 0, False),
        ("page closed", True, 0, False),
        ("open once", True, 1, False),
        ("open in five tabs", True, 5, False),
        (f"{REQUESTS} requests/s and slow-loris", True, 1, True),
    ):
        with listener(enabled) as listening:
            crowd = Crowd(listening.port)
            crowd.watch(pages)
            if flood:
                crowd.flood()
            rows[name] = cost(listening, crowd, own.seconds)
    if own.json:
        print(json.dumps({name: row._asdict() for name, row in rows.items()}))
        return
    print("| | processor, % of a core | resident, MB | gaps |\n|---|---|---|---|")
    for name, row in rows.items():
        print(f"| {name} | {row.processor:.1f} | {row.memory:.0f} | {row.gaps} |")


if __name__ == "__main__":
    main()
