"""The faults, each a function: a station is made for it, and what goes wrong goes wrong while it listens."""

import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asit_edge.errors import AsitEdgeError
from bench.chaos.station import PATIENCE, Station
from tests.integration.test_delivery import RULES, kill_listener_repeatedly
from tests.integration.test_flapping_link import DROPS_EVERY, flapping

KILLS = 40
OUTAGES = 3
DAYS = 1_000
REMEMBERS = ("persistence true", "autosave_interval 5")

ANOTHER_CLOCK = """
import sys, time
from pathlib import Path
real, offset = time.time, Path(sys.argv.pop(1))
time.time = lambda: real() + float(offset.read_text() or 0)
from asit_edge.__main__ import main
main()
"""
"""A listener whose wall clock is off by the seconds in a file; nothing else in it is changed."""


@dataclass(frozen=True)
class Fault:
    """`words` are those of the table; `station` are arguments of the station that it happens to."""

    words: str
    happen: Callable[[Station], None]
    station: dict[str, Any] = field(default_factory=dict)


FAULTS: dict[str, Fault] = {}


def fault(words: str, **station: Any) -> Callable[[Callable[[Station], None]], Callable[[Station], None]]:
    """Enters a function under its name."""

    def enter(happen: Callable[[Station], None]) -> Callable[[Station], None]:
        FAULTS[happen.__name__] = Fault(words, happen, station)
        return happen

    return enter


@fault("none")
def none(station: Station) -> None:
    station.listen(station.configure(), 20).wait(PATIENCE)


@fault(f"`kill -9` of the listener, {KILLS} times")
def kills(station: Station) -> None:
    kill_listener_repeatedly(station.configure(), KILLS, station.subscriber, seed=1)
    station.starts += KILLS + 1


def outages(station: Station, end: Callable[[], None]) -> None:
    config = station.configure()
    station.listen(config, 60)
    for _ in range(OUTAGES):
        station.come(6)
        end()
        station.hear(config, 10)
        station.broker_returns()


@fault(f"broker stopped and started, {OUTAGES} times")
def stops(station: Station) -> None:
    outages(station, station.broker.stop)


@fault(f"broker killed (`kill -9`), without persistence, {OUTAGES} times")
def forgets(station: Station) -> None:
    outages(station, station.broker.kill)


@fault(f"broker killed (`kill -9`), with persistence, {OUTAGES} times", broker=REMEMBERS)
def remembers(station: Station) -> None:
    outages(station, station.broker.kill)


@fault("broker hangs for half a minute")
def hangs(station: Station) -> None:
    station.listen(station.configure(), 50)
    station.come(6)
    station.broker.pause()
    time.sleep(30)
    station.broker.resume()


@fault("network swallows everything for half a minute")
def swallows(station: Station) -> None:
    station.listen(station.configure(), 50)
    station.come(6)
    station.network.swallow()
    time.sleep(30)
    station.network.cut()
    station.network.open()


@fault("broker's rules deny events, then permit them", users=RULES)
def denies(station: Station) -> None:
    config = station.configure(username="device")
    station.listen(config, 45)
    station.come(6)
    station.broker.rule("device", f"{RULES['device']}\ntopic deny asit/hall/mic/event")
    station.hear(config, 20)
    station.broker.rule("device", RULES["device"])


@fault("TLS broker: a plain client, a certificate nobody trusts, the right one", users=RULES, tls=True)
def tls(station: Station) -> None:
    for settings in ({}, {"tls": {"enabled": True}}, {"tls": {"ca_file": str(station.broker.ca_file)}}):
        station.listen(station.configure(username="device", **settings), 10).wait(PATIENCE)


@fault("slow link, 2 kB/s", bytes_a_second=2_000)
def slow(station: Station) -> None:
    station.listen(station.configure(), 60, every=2.0).wait(PATIENCE)


@fault(f"link of 9 kB/s that drops every {DROPS_EVERY:g} s", bytes_a_second=9_000)
def flaps(station: Station) -> None:
    with flapping(station.network):
        station.listen(station.configure(), 60).wait(PATIENCE)


@fault("a copied card: two devices of one name")
def namesakes(station: Station) -> None:
    original = station.configure()
    station.listen(original, 5).wait(PATIENCE)
    shutil.copytree(original.parent, station.folder / "clone")
    clone = station.configure("clone")
    both = [station.listen(original, 45), station.listen(clone, 45)]
    for listener in both:
        listener.wait(PATIENCE)


@contextmanager
def small_disk() -> Iterator[Path]:
    """A disk of 16 MB; mounting it needs root."""
    with tempfile.TemporaryDirectory() as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True)
        if mounted.returncode != 0:
            raise AsitEdgeError("a small disk cannot be mounted here; it needs root")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=False)


@fault("disk of the store full for a while, twice")
def full(station: Station) -> None:
    disk = station.lasting.enter_context(small_disk())
    config = station.configure(store=disk / "events.db")
    station.listen(config, 60)
    for _ in range(2):
        station.come(6)
        with (disk / "filler").open("wb", buffering=0) as filler:
            while _written(filler.write, bytes(1 << 12)):
                pass
        station.come(20)
        (disk / "filler").unlink()
        station.hear(config, 10)


def _written(write: Callable[[bytes], int | None], block: bytes) -> bool:
    try:
        return write(block) == len(block)
    except OSError:
        return False


@fault(f"clock wrong by {DAYS:,} days both ways, set while it listens, `kill -9` between")
def clock(station: Station) -> None:
    config, offset = station.configure(), station.folder / "offset"
    days = DAYS * 86_400.0
    for before, after in ((-days, 0.0), (0.0, days), (days, 0.0)):
        offset.write_text(str(before), encoding="utf-8")
        listener = station.listen(config, 60, program=("-c", ANOTHER_CLOCK, str(offset)))
        station.hear(config, 6)
        offset.write_text(str(after), encoding="utf-8")
        station.hear(config, 6)
        time.sleep(random.Random(after).uniform(0, 1))
        listener.kill()
        listener.wait()
