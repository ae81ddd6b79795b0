"""A day on a virtual clock, with random faults: every second accounted for, every event ended, memory flat.

    python bench/soak.py [--hours 24] [--sources 2] [--seed 0]

Devices are unplugged, stall and keep or lose their audio, drop samples, fall digitally silent; the machine sleeps, its
clock is set, the model is too slow for a while, sources are switched off and on. What the devices delivered is known,
so what the listener says it heard and missed can be checked against it. Everything but the devices and the model is the
real thing.
"""

import argparse
import logging
import os
import queue
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from asit_edge.assembly import Model
from asit_edge.config.root import Config
from asit_edge.detect.class_settings import class_settings
from asit_edge.host.malloc import return_freed_memory
from asit_edge.listen.loop import ListeningLoop
from asit_edge.messages.event import Event
from asit_edge.messages.report import Gap, Level, Status
from asit_edge.model.bundle import Bundle, BundleLabel, Manifest, WindowModel
from asit_edge.model.frontend import FrontEnd
from asit_edge.mqtt.commands import Command
from bench.faulty_device import BLOCK, Device
from tests.listen.virtual import Instantly, VirtualClock

SILENT_AFTER = 5.0


class LoudIsSound:
    """A classifier for which a chunk is a sound if it is loud, and which can be made slow."""

    chunk, steps, most_skimmed = 48, 1, 3

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.seconds = 0.0

    def open(self) -> list[float]:
        return []

    def skim(self, chunks: np.ndarray, memories: Sequence[list[float]]) -> None: ...

    def step(self, chunks: np.ndarray, memories: Sequence[list[float]]) -> np.ndarray:
        self._clock.advance(self.seconds)
        loud = chunks.mean(axis=(1, 2)) > 0.0
        return np.stack([loud * 0.9, ~loud * 0.1], axis=1)[:, None].astype(np.float32)


class Ledger:
    """An announcer that keeps what has to be checked, and nothing else."""

    def __init__(self) -> None:
        self.commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self.open: set[str] = set()
        self.begun = self.levels = 0
        self.lost: dict[str, Counter[str]] = {}
        self.statuses: dict[str, Status] = {}
        self.states: Counter[str] = Counter()
        self.problems: list[str] = []

    def start(self) -> None: ...

    def stop(self, seconds: float) -> None: ...

    def events(self, source: str, events: list[Event]) -> list[Event]:
        for event in events:
            if (event.id in self.open) is (event.type == "new"):
                self.problems.append(f"{source}: {event.type} out of turn, event {event.id}")
            if event.type == "new":
                self.begun += 1
                self.open.add(event.id)
            elif event.type == "end":
                self.open.discard(event.id)
        return events

    def status(self, status: Status) -> None:
        self.statuses[status.source] = status
        self.states[status.state] += 1

    def level(self, level: Level) -> None:
        self.levels += 1

    def threshold(self, source: str, label: str, on: float) -> None: ...

    def gap(self, gap: Gap) -> None:
        causes = self.lost.setdefault(gap.source, Counter())
        causes[gap.cause] += gap.duration  # type: ignore[assignment]


@dataclass
class Outcome:
    """What a soak came to; all times in seconds."""

    devices: list[Device]
    ledger: Ledger
    elapsed: float
    memory: list[tuple[float, float]]
    """Hours gone, resident MB."""
    muted: dict[str, float]
    """Of real sound that was delivered while its source was switched off."""
    slow: int = 0
    suspends: int = 0

    def check(self) -> list[str]:
        """What does not add up."""
        problems = list(self.ledger.problems)
        if self.ledger.open:
            problems.append(f"{len(self.ledger.open)} events have no end")
        for device in self.devices:
            status = self.ledger.statuses[device.name]
            lost = self.ledger.lost.get(device.name, Counter())
            total = status.heard + status.lost
            if abs(total - self.elapsed) > 1.0 + 0.02 * status.gaps:
                problems.append(f"{device.name}: heard and lost make {total:.1f} s of {self.elapsed:.1f} s")
            if abs(sum(lost.values()) - status.lost) > 0.01 * (status.gaps + 1):
                problems.append(f"{device.name}: gaps make {sum(lost.values()):.1f} s, not {status.lost:.1f} s")
            expected = device.delivered - self.muted[device.name] - lost["overload"]
            # Stretches of digital silence too short to be noticed, such as before a suspend, count as heard.
            unnoticed = SILENT_AFTER * (device.faults["digital silence"] + self.suspends)
            rounding = 0.2 * (status.gaps + 1)
            if not -rounding <= status.heard - expected <= rounding + unnoticed:
                problems.append(f"{device.name}: heard {status.heard:.1f} s, but {expected:.1f} s were delivered")
        return problems

    def slope(self) -> float:
        """Growth of resident memory in MB an hour of virtual time, the first tenth left out."""
        points = np.array(self.memory[len(self.memory) // 10 :])
        return float(np.polyfit(points[:, 0], points[:, 1], 1)[0]) if len(points) > 2 else 0.0


def soak(hours: float, sources: int, seed: int, calm: float = 1.0) -> Outcome:
    """Listens for so long; `seed` decides which faults come when, `calm` stretches the time between them."""
    rng = random.Random(seed)
    clock = VirtualClock()
    names = [f"mic{number}" for number in range(sources)]
    config = Config.model_validate(
        {
            "device": "soak",
            "sources": [{"type": "microphone", "name": name, "silent_after": SILENT_AFTER} for name in names],
            "events": {"max_duration": 60.0, "update_every": 1.0},
        }
    )
    classifier = LoudIsSound(clock)
    labels = [BundleLabel(name=name, id=name, on_threshold=0.5, off_threshold=0.3) for name in ("Loud", "Quiet")]
    shape = WindowModel(frames=192, interval=48)
    manifest = Manifest(
        name="loud",
        version="1",
        license="none",
        labels=labels,
        front_end=FrontEnd(),
        model=shape,
        files={"model.onnx": ""},
    )
    model = Model(Bundle(Path(), manifest), classifier, class_settings(config.events, manifest))
    devices = [Device(name, rng, clock, calm) for name in names]
    ledger = Ledger()
    nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - lasts as long as the process
    loop = ListeningLoop(config, model, list(devices), ledger, nowhere, clock, Instantly)  # type: ignore[arg-type]
    loop.start()
    began = clock.steady()
    outcome = Outcome(devices, ledger, 0.0, [], dict.fromkeys(names, 0.0))
    trouble_at, normal_at, read_at, off = began + 600 * calm, 0.0, 0.0, ""
    while (now := clock.steady()) - began < 3_600 * hours:
        before = {device.name: device.delivered for device in devices}
        for device in devices:
            device.live_on()
        if off:
            device = devices[names.index(off)]
            outcome.muted[off] += device.delivered - before[off]
        while loop.tick():
            pass
        if normal_at and now > normal_at:
            classifier.seconds, normal_at = 0.0, 0.0
            if off:
                ledger.commands.put(Command(off, "listen", None, True))
                devices[names.index(off)].off, off = False, ""
        if now > trouble_at:
            trouble_at = now + calm * rng.uniform(300, 1_800)
            kind = rng.choice(["clock", "suspend", "slow", "off"])
            if kind == "clock":
                clock.step(rng.choice([3_600.0, -3_600.0, 30.0]))
            elif kind == "suspend" and not off:
                seconds = rng.uniform(10, 3_600 * calm)
                clock.sleep(seconds)
                outcome.suspends += 1
                for device in devices:
                    device.sleep(seconds)
            elif kind == "slow":
                classifier.seconds, normal_at = rng.uniform(0.5, 1.5), now + rng.uniform(20, 120)
                outcome.slow += 1
            elif kind == "off" and not normal_at:
                device = rng.choice(devices)
                if device.fault != "digital silence":
                    off, normal_at, device.off = device.name, now + rng.uniform(10, 300), True
                    ledger.commands.put(Command(off, "listen", None, False))
        if now > read_at:
            read_at = now + 360
            outcome.memory.append(((now - began) / 3_600, resident()))
        clock.advance(BLOCK)
    for device in devices:
        device.live_on()
    while loop.tick():
        pass
    outcome.elapsed = clock.steady() - began
    loop.stop()
    return outcome


def resident() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--sources", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    own = parser.parse_args()
    logging.disable(logging.CRITICAL)
    return_freed_memory()  # as `asit-edge listen` does
    began = time.monotonic()
    outcome = soak(own.hours, own.sources, own.seed)
    took = time.monotonic() - began
    ledger = outcome.ledger
    print(f"{outcome.elapsed / 3_600:.2f} h of virtual time, {own.sources} sources, in {took:.0f} s")
    for device in outcome.devices:
        status = ledger.statuses[device.name]
        causes = ", ".join(f"{cause} {seconds:.1f} s" for cause, seconds in sorted(ledger.lost[device.name].items()))
        faults = ", ".join(f"{count} x {fault}" for fault, count in sorted(device.faults.items()))
        print(f"{device.name}: heard {status.heard:.1f} s, lost {status.lost:.1f} s in {status.gaps} gaps ({causes})")
        print(f"      faults of the device: {faults}")
    print(f"{ledger.begun} events, {len(ledger.open)} without end; {outcome.slow} times too slow a model")
    start, end = outcome.memory[len(outcome.memory) // 10][1], outcome.memory[-1][1]
    print(f"resident memory {start:.1f} MB to {end:.1f} MB, slope {outcome.slope():+.3f} MB an hour")
    problems = outcome.check()
    for problem in problems:
        print(f"DOES NOT ADD UP: {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
