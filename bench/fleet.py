"""What a fleet costs its broker: devices that deliver as real ones do, at one mosquitto on this machine.

python -m bench.fleet                       # 1, 10 and 50 devices, each reporting five labels
python -m bench.fleet --labels 0 --devices 50     # all labels of the model
python -m bench.fleet --tls

Each device is the delivery of a listener: its store on disk, its own connection and session, the state that it keeps at
the broker, a level a second, and events at a rate (new, update, end). One subscriber reads events, states and levels of
all, and counts messages; bytes that come in, with all that MQTT adds, are counted by mosquitto itself ($SYS), its
processor time by the kernel.
"""

import argparse
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from asit_edge.audio.clock import iso
from asit_edge.config.root import Config
from asit_edge.deliver.delivery import Delivery
from asit_edge.messages.event import Event, ModelName
from asit_edge.messages.report import Level, Status
from asit_edge.model.bundle import Manifest, find_bundle, load_bundle
from tests.integration.mosquitto import Mosquitto, Subscriber, wait_for

MANY = 10_000
STEPS = ("new", "update", "end")


class Cost(NamedTuple):
    """Of so many devices at one broker."""

    devices: int
    start_messages: int
    start_bytes: int
    start_seconds: float
    messages: float
    """A second, while nothing else happens than listening."""
    bytes: float
    core: float
    """Share of a core that the broker takes."""
    memory_mb: float


class Device:
    """One that tells a level a second, and events at random times."""

    def __init__(self, folder: Path, name: str, mqtt: dict[str, object], only: list[str], manifest: Manifest) -> None:
        config = {
            "device": name,
            "sources": [{"type": "stdin", "name": "room"}],
            "events": {"only": only or None},
            "mqtt": mqtt,
            "home_assistant": {"discovery": False},
            "store": {"path": folder / f"{name}.db"},
        }
        self.name, self._manifest = name, manifest
        self._labels = [one for one in manifest.labels if one.name in only or (not only and not one.experimental)]
        self.delivery = Delivery(Config.model_validate(config), manifest)
        self._count = 0

    def start(self) -> None:
        self.delivery.start()
        listening = Status(schema=1, device=self.name, source="room", state="listening", since=iso(time.time()))
        self.delivery.status(listening)

    def level(self) -> None:
        self.delivery.level(Level(schema=1, device=self.name, source="room", dbfs=-48.3, peak_dbfs=-31.2, rms=0.0027))

    def step(self) -> None:
        """The next message of an event."""
        label = self._labels[self._count // len(STEPS) % len(self._labels)]
        kind, now = STEPS[self._count % len(STEPS)], time.time()
        event = Event.model_validate(
            {
                "schema": 1,
                "type": kind,
                "id": f"{self.name}-{self._count // len(STEPS)}",
                "device": self.name,
                "source": "room",
                "label": label.name,
                "label_id": label.id,
                "score": 0.81,
                "peak": 0.93,
                "onset": iso(now - 1),
                "offset": iso(now) if kind == "end" else None,
                "duration": 1.0 if kind == "end" else None,
                "onset_epoch": round(now - 1, 3),
                "latency_ms": 310,
                "seq": 0,
                "replayed": False,
                "clip": None,
                "model": ModelName(name=self._manifest.name, version=self._manifest.version),
            }
        )
        self.delivery.events("room", [event])
        self._count += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--labels", type=int, default=5, help="that each device reports; 0: all of the model's")
    parser.add_argument("--events", type=float, default=6.0, help="a minute and device, three messages each")
    parser.add_argument("--seconds", type=float, default=30.0, help="that are measured")
    parser.add_argument("--tls", action="store_true")
    chosen = parser.parse_args()
    manifest = load_bundle(find_bundle()).manifest
    names = [label.name for label in manifest.labels if not label.experimental]
    only = names[: chosen.labels]
    print(
        f"{chosen.labels or len(names)} labels, {chosen.events:g} events a minute, TLS {'on' if chosen.tls else 'off'}"
    )
    print("| devices | messages at the start | KB | in s | messages/s | KB/s | broker, % of a core | its memory, MB |")
    print("|---|---|---|---|---|---|---|---|")
    costs = []
    for count in chosen.devices:
        cost = measured(count, only, manifest, chosen.events, chosen.seconds, chosen.tls)
        costs.append(cost)
        print(
            f"| {count} | {cost.start_messages} | {cost.start_bytes / 1e3:.0f} | {cost.start_seconds:.1f} "
            f"| {cost.messages:.1f} | {cost.bytes / 1e3:.2f} | {100 * cost.core:.1f} | {cost.memory_mb:.1f} |",
            flush=True,
        )
    if len(costs) > 1:
        print(extrapolated(costs[0], costs[-1]))


def extrapolated(few: Cost, many: Cost) -> str:
    """What each further device has cost, times `MANY`: on paper, and as if all of it grew in proportion."""

    def each(name: str) -> float:
        more: float = getattr(many, name) - getattr(few, name)
        return more / (many.devices - few.devices)

    return (
        f"{MANY} devices on paper: {MANY * each('messages'):.0f} messages/s, {MANY * each('bytes') / 1e6:.1f} MB/s, "
        f"{MANY * each('core'):.1f} cores of the broker, {MANY * each('memory_mb') / 1e3:.2f} GB of its memory; all at "
        f"once at a start: {MANY * each('start_messages') / 1e6:.2f} million messages, "
        f"{MANY * each('start_bytes') / 1e6:.0f} MB"
    )


def measured(count: int, only: list[str], manifest: Manifest, rate: float, seconds: float, tls: bool) -> Cost:
    with (
        tempfile.TemporaryDirectory() as temporary,
        running(Path(temporary), tls) as (broker, process),
        Subscriber(broker, topic="$SYS/broker/bytes/received", qos=0, tls=tls) as counts,
        Reader(broker, tls) as reader,
    ):
        mqtt: dict[str, object] = {"host": "127.0.0.1", "port": broker.port}
        if tls:
            mqtt["tls"] = {"ca_file": broker.ca_file}
        devices = [Device(Path(temporary), f"d{one:05d}", mqtt, only, manifest) for one in range(count)]
        quiet = settled(counts)
        began = time.monotonic()
        for device in devices:
            device.start()
        done = [device.delivery._mqtt.drain(120) for device in devices if device.delivery._mqtt]
        assert all(done), "the broker has not taken the state of all devices"
        start_seconds, start, begun_with = time.monotonic() - began, settled(counts), reader.count
        used, began = cpu(process), time.monotonic()
        listen(devices, rate, seconds)
        lasted, core = time.monotonic() - began, cpu(process) - used
        after, messages = settled(counts), reader.count - begun_with
        for device in devices:
            device.delivery.stop(5)
        memory = process.memory_info().rss / 1e6
        into = start - quiet, (after - start) / lasted
        return Cost(count, begun_with, round(into[0]), start_seconds, messages / lasted, into[1], core / lasted, memory)


SETTLE = 2.5
"""Seconds in which mosquitto tells its counts twice."""


@contextmanager
def running(folder: Path, tls: bool) -> Iterator[tuple[Mosquitto, psutil.Process]]:
    broker = Mosquitto(folder / "broker", tls=tls)
    broker.configure("sys_interval 1", "max_queued_messages 100000")
    broker.start()
    assert broker._process is not None
    try:
        yield broker, psutil.Process(broker._process.pid)
    finally:
        broker.kill()


class Reader(Subscriber):
    """Reads what devices say, counts it, and keeps nothing."""

    def __init__(self, broker: Mosquitto, tls: bool) -> None:
        super().__init__(broker, topic="asit/#", qos=0, tls=tls)
        self.count = 0

    def __enter__(self) -> "Reader":
        super().__enter__()
        self._client.on_message = self._take
        return self

    def _take(self, *_: object) -> None:
        self.count += 1


def settled(counts: Subscriber) -> float:
    """Bytes that have come to the broker so far, by its own count."""
    time.sleep(SETTLE)
    values = wait_for(lambda: counts.payloads(counts.topic), 10, "mosquitto has counted")
    return float(values[-1])


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def listen(devices: list[Device], rate: float, seconds: float) -> None:
    """A level a second of each, spread over it, and steps of events."""
    chance, stopping = len(STEPS) * rate / 60, threading.Event()
    for second in range(round(seconds)):
        begun = time.monotonic()
        for place, device in enumerate(devices):
            device.level()
            if random.Random(f"{device.name} {second}").random() < chance:
                device.step()
            stopping.wait(max(begun + (place + 1) / len(devices) - time.monotonic(), 0.0))


if __name__ == "__main__":
    main()
