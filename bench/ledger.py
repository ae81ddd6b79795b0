"""What a listener told in a soak, and whether it adds up with what its devices delivered."""

import queue
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from asit_edge.listen.loop import NOTED_EVERY
from asit_edge.listen.supervision.account import Totals
from asit_edge.messages.event import Event
from asit_edge.messages.report import Adjusted, Gap, Level, Status
from asit_edge.model.bundle import Manifest
from asit_edge.mqtt.commands import Command
from bench.faulty_device import Device
from bench.outside import Broker, FaultyDisk, Reader

SILENT_AFTER = 5.0


class Ledger:
    """What the loop announces to: it goes into the store, and what has to be checked is kept, nothing else."""

    def __init__(self, disk: FaultyDisk, broker: Broker) -> None:
        self.commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self.open: set[str] = set()
        self.begun = self.ended_late = self.levels = self.gaps = self.lines = 0
        self.lost: dict[str, Counter[str]] = {}
        self.statuses: dict[str, Status] = {}
        self.problems: list[str] = []
        self._disk, self._broker = disk, broker

    def unfinished(self) -> list[Event]:
        return self._disk.store.unfinished()

    def events(self, source: str, events: list[Event]) -> list[Event]:
        written = self._disk.commit(source, events)
        for event in written:
            self._broker.expected.add(event.seq)
            self.lines += 1
            if (event.id in self.open) is (event.type == "new"):
                self.problems.append(f"{source}: {event.type} out of turn, event {event.id}")
            if event.type == "new":
                self.begun += 1
                self.open.add(event.id)
            elif event.type == "end":
                self.open.discard(event.id)
                self.ended_late += event.replayed
        return written

    def status(self, status: Status) -> None:
        self.statuses[status.source] = status

    def level(self, level: Level) -> None:
        self.levels += 1
        if not np.isfinite([level.dbfs, level.peak_dbfs, level.rms]).all():
            self.problems.append(f"{level.source}: a level that is no number")

    def know(self, manifest: Manifest) -> None: ...

    def threshold(self, source: str, label: str, on: float) -> None: ...

    def adjusted(self, adjusted: Adjusted) -> None: ...

    def gap(self, gap: Gap) -> None:
        self._disk.post(gap)
        self.gaps += 1
        causes = self.lost.setdefault(gap.source, Counter())
        causes[gap.cause] += gap.duration  # type: ignore[assignment]


@dataclass
class Outcome:
    """What a soak came to; all times in seconds."""

    devices: list[Device]
    ledger: Ledger
    broker: Broker
    reader: Reader
    totals: dict[str, Totals]
    """Of all runs together, by source."""
    muted: dict[str, float]
    """Of real sound that was delivered while its source was switched off."""
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Hours gone, resident MB."""
    troubles: Counter[str] = field(default_factory=Counter)
    """Of everything but the devices."""
    elapsed: float = 0.0
    down: float = 0.0
    """No listener ran."""
    dropped_lines: int = 0
    unsaved: int = 0
    """Messages that the store dropped undelivered."""

    def check(self) -> list[str]:
        """What does not add up."""
        problems = [*self.ledger.problems, *(one for device in self.devices for one in self._check_device(device))]
        for what, ids in (("committed", self.ledger.open), ("came to the broker", self.broker.open)):
            if ids:
                problems.append(f"{len(ids)} events that {what} have no end")
        if self.broker.expected:
            problems.append(f"{len(self.broker.expected)} messages of events did not come to the broker")
        if self.broker.taken["gap"] != self.ledger.gaps:
            problems.append(f"{self.ledger.gaps} gaps were told, {self.broker.taken['gap']} came to the broker")
        if self.reader.lines + self.dropped_lines != self.ledger.lines:
            problems.append(
                f"{self.ledger.lines} lines, of which {self.reader.lines} were read and {self.dropped_lines} dropped"
            )
        if self.unsaved:
            problems.append(f"{self.unsaved} messages were dropped undelivered")
        return problems

    def _check_device(self, device: Device) -> Iterator[str]:
        totals, kills = self.totals[device.name], self.troubles["killed"]
        lost = self.ledger.lost.get(device.name, Counter())
        total, restart = totals.heard + totals.lost + lost["restart"], lost["restart"]
        # What was heard after the last note of a run that was killed is in the gap, too.
        twice = (NOTED_EVERY + 1.0) * kills
        if not -1.0 <= total - self.elapsed + 0.02 * totals.gaps <= 2.0 + 0.04 * totals.gaps + twice:
            yield f"{device.name}: heard and lost make {total:.1f} s of {self.elapsed:.1f} s"
        if abs(sum(lost.values()) - restart - totals.lost) > 0.01 * (totals.gaps + 1):
            yield f"{device.name}: gaps make {sum(lost.values()) - restart:.1f} s, not {totals.lost:.1f} s"
        expected = device.delivered - self.muted[device.name] - lost["overload"]
        # Stretches of digital silence too short to be noticed, such as before a suspend, count as heard.
        unnoticed = SILENT_AFTER * (device.faults["digital silence"] + self.troubles["suspend"] + kills)
        rounding = 0.2 * (totals.gaps + 1) + 1.0 * kills
        if not -rounding <= totals.heard - expected <= rounding + unnoticed:
            yield f"{device.name}: heard {totals.heard:.1f} s, but {expected:.1f} s were delivered"
        needs = {
            "overload": self.troubles["slow"],
            "suspend": self.troubles["suspend"],
            "muted": self.troubles["off"],
            "restart": kills,
            "digital silence": device.faults["digital silence"],
            "lost": device.faults["unplugged"],
            "stalled": device.faults["stall that loses"] + device.faults["stall that keeps"],
        }
        for cause, seconds in lost.items():
            if seconds and not needs.get(cause, 1):
                yield f"{device.name}: {seconds:.1f} s were lost for {cause!r}, which did not happen"

    def slope(self) -> float:
        """Growth of resident memory in MB an hour of virtual time, the first tenth left out."""
        points = np.array(self.memory[len(self.memory) // 10 :])
        return float(np.polyfit(points[:, 0], points[:, 1], 1)[0]) if len(points) > 2 else 0.0
