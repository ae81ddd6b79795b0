"""A day on a virtual clock, with random faults: every second accounted for, every event ended and told, memory flat.

    python bench/soak.py [--hours 24] [--sources 2] [--seed 0]

Ctrl-C ends the day early; what was until then is checked.

Devices are unplugged, stall and keep or lose their audio, fall digitally silent, deliver samples that are no numbers;
the machine sleeps, its clock is set, the model is too slow, sources are switched off and on. The disk of the store is
full, locked, or does not return; the broker is away or denies events; whoever reads the output hangs; the listener is
killed and started again. What the devices delivered is known, so what the listener says it heard and missed can be
checked against it, and what came to the broker against what was committed.

Everything but the devices and the model is the real thing, apart from what cannot be on a virtual clock: MQTT and its
network (`python -m bench.chaos` has them), and the end of a process, of which only what lies on the disk is left. No
kill comes while the disk takes nothing, which may cost what only memory holds, nor before the last note of what was
heard is by the wall clock as it is, since between two runs there is no other.
"""

import argparse
import gc
import logging
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from asit_edge.assembly import Model
from asit_edge.audio.sources.source import Source
from asit_edge.config.root import Config
from asit_edge.detect.class_settings import class_settings
from asit_edge.host.flag import Flag
from asit_edge.host.lines import Lines
from asit_edge.host.malloc import return_freed_memory
from asit_edge.listen.last_heard import LastHeard
from asit_edge.listen.loop import ListeningLoop
from asit_edge.listen.supervision.account import Totals
from asit_edge.listen.unfinished import end_unfinished
from asit_edge.listen.unhurried import UnhurriedAnnouncer
from asit_edge.model.bundle import Bundle
from asit_edge.mqtt.commands import Command
from bench.faulty_device import BLOCK, Device
from bench.ledger import SILENT_AFTER, Ledger, Outcome
from bench.loud_is_sound import LoudIsSound, manifest
from bench.outside import Broker, FaultyDisk, Reader, on_clock
from tests.listen.virtual import Instantly, VirtualClock


def configuration(names: list[str]) -> Config:
    return Config.model_validate(
        {
            "device": "soak",
            "sources": [{"type": "microphone", "name": name, "silent_after": SILENT_AFTER} for name in names],
            "events": {"max_duration": 60.0, "update_every": 1.0},
        }
    )


DISK = {"full": (5, 300), "locked": (5, 60), "disk hangs": (5, 300)}
LASTING = {
    **DISK,
    "broker away": (5, 1_800),
    "broker denies": (5, 900),
    "reader hangs": (60, 7_200),
    "slow": (20, 120),
    "off": (10, 300),
}
"""Troubles that last: seconds, at least and at most."""
AT_ONCE = ("clock", "suspend", "killed", "killed")
REST = 15.0
"""Seconds after which a disk that has been mended has taken everything, and a note of what was heard is new."""
LONGEST_DOWN = 300.0


class Soak:
    """One of them: a machine, its devices, and one listener after the other."""

    def __init__(self, folder: Path, clock: VirtualClock, sources: int, seed: int, calm: float) -> None:
        self._rng, self._calm, self._clock = random.Random(seed), calm, clock
        self._names = [f"mic{number}" for number in range(sources)]
        self._devices = {name: Device(name, self._rng, self._clock, calm) for name in self._names}
        self._config = configuration(self._names)
        self._classifier, shape = LoudIsSound(self._clock), manifest()
        settings = class_settings(self._config.events, shape)
        self._model = Model(Bundle(Path(), shape), self._classifier, settings)
        self._disk, self._broker, self._reader = FaultyDisk(folder), Broker(), Reader()
        self._ledger = Ledger(self._disk, self._broker)
        self._out = Lines(self._reader.writing, "stdout")
        self._heard = folder / "heard.json"
        self._until: dict[str, float] = {}
        """Of each trouble that lasts: when it is over."""
        self._off = ""
        self._mended_at = self._misdated_at = float("-inf")
        self.outcome = Outcome(
            list(self._devices.values()),
            self._ledger,
            self._broker,
            self._reader,
            {name: Totals() for name in self._names},
            dict.fromkeys(self._names, 0.0),
        )
        self._begin()

    def _begin(self) -> None:
        """As `asit_edge.listen.run.listen` does."""
        self._announcer = UnhurriedAnnouncer(self._ledger, self._out)
        notes = LastHeard(self._heard)
        sources: list[Source] = list(self._devices.values())
        self._loop = ListeningLoop(
            self._config,
            self._model,
            sources,
            self._announcer,
            self._out,
            self._clock,
            Instantly,  # type: ignore[arg-type]
            notes,
        )
        end_unfinished(self._ledger, notes.last, self._clock.wall(), self._out)
        self._loop.start()

    def run(self, hours: float, stopping: Callable[[], bool]) -> Outcome:
        """Listens for so long, or until `stopping()`."""
        began = tended = now = self._clock.steady()
        trouble_at, read_at = began + 600 * self._calm, 0.0
        while now - began < 3_600 * hours and not stopping():
            self._live_on()
            self._end_troubles(now)
            if now > trouble_at:
                trouble_at = now + self._calm * self._rng.uniform(60, 600)
                self._begin_trouble(now)
            if now - tended >= 1.0:
                tended = now
                self._disk.tend(self._broker)
                self._misdated_at = self._misdated_at if self._dated else now
            self._reader.read()
            if now > read_at:
                read_at = now + 360
                self.outcome.memory.append(((now - began) / 3_600, resident()))
            self._clock.advance(BLOCK)
            now = self._clock.steady()
        self._end_troubles(float("inf"))
        self._live_on()
        self.outcome.elapsed = self._clock.steady() - began
        self._loop.stop()
        self._leave()
        self._finish()
        return self.outcome

    def _live_on(self) -> None:
        """Devices deliver, and all of that is heard."""
        for name, device in self._devices.items():
            before = device.delivered
            device.live_on()
            if name == self._off:
                self.outcome.muted[name] += device.delivered - before
        while self._loop.tick():
            pass
        self._wait()

    def _wait(self) -> None:
        """The disk is as fast as the clock, unless it hangs."""
        while not self._disk.hangs and self._announcer._errands.waiting:
            time.sleep(1e-4)

    def _begin_trouble(self, now: float) -> None:
        kind = self._rng.choice([*LASTING, *AT_ONCE])
        if kind in self._until or (kind in DISK and set(DISK) & set(self._until)):
            return
        if kind == "clock":
            if not self._dated:
                return
            self._clock.step(self._rng.choice([3_600.0, -3_600.0, 30.0]))
        elif kind == "suspend":
            if self._off:
                return
            seconds = self._rng.uniform(10, 3_600 * self._calm)
            self._clock.sleep(seconds)
            for device in self._devices.values():
                device.sleep(seconds)
        elif kind == "killed":
            if not self._may_be_killed(now):
                return
            self._kill()
        else:
            if kind in ("off", "slow") and ("off" in self._until or "slow" in self._until):
                return
            if kind == "off" and not self._choose_off():
                return
            shortest, longest = LASTING[kind]
            self._until[kind] = now + self._rng.uniform(shortest, max(self._calm * longest, 2.0 * shortest))
            self._change(kind, begins=True)
        self.outcome.troubles[kind] += 1

    def _end_troubles(self, now: float) -> None:
        for kind in [kind for kind, until in self._until.items() if now > until]:
            del self._until[kind]
            self._change(kind, begins=False)

    def _change(self, kind: str, *, begins: bool) -> None:
        if kind in DISK:
            change = {"full": self._disk.fill, "locked": self._disk.lock, "disk hangs": self._disk.hang}[kind]
            (change if begins else self._disk.mend)()
            self._mended_at = self._clock.steady()
        elif kind == "broker away":
            self._broker.away = begins
        elif kind == "broker denies":
            self._broker.denies = begins
        elif kind == "reader hangs":
            self._reader.hangs = begins
        elif kind == "slow":
            self._classifier.seconds = self._rng.uniform(0.5, 1.5) if begins else 0.0
        else:
            self._switch(on=not begins)

    def _choose_off(self) -> bool:
        """Which device to switch off; False if the one cannot be."""
        device = self._rng.choice(self.outcome.devices)
        if device.fault == "digital silence":
            return False
        self._off = device.name
        return True

    def _switch(self, *, on: bool) -> None:
        self._ledger.commands.put(Command(self._off, "listen", None, on))
        self._devices[self._off].off = not on
        self._off = "" if on else self._off

    def _may_be_killed(self, now: float) -> bool:
        troubled = {"off", "slow", *DISK} & set(self._until)
        return not troubled and now > max(self._mended_at, self._misdated_at) + REST

    @property
    def _dated(self) -> bool:
        """Every source knows its time, by the clock as it is now."""
        wall = self._clock.wall()
        return all(one.clock and abs(one.epoch_now() - wall) < 1.0 for one in self._loop.supervisors)

    def _kill(self) -> None:
        """Nothing is ended or said; after a while another one is started."""
        self._leave()
        del self._loop, self._announcer
        gc.collect()  # a process takes its memory along
        for device in self._devices.values():
            device.drop()
        seconds = self._rng.uniform(2.0, self._calm * LONGEST_DOWN)
        until = self._clock.steady() + seconds
        while self._clock.steady() < until:
            self._clock.advance(BLOCK)
            for device in self._devices.values():
                device.live_on()
        self.outcome.down += seconds
        self._disk.restart()
        self._begin()

    def _leave(self) -> None:
        """A run has come to its end."""
        self._announcer.stop(10.0)
        for supervisor in self._loop.supervisors:
            mine, all_of_them = supervisor.account.totals, self.outcome.totals[supervisor.source.name]
            all_of_them.heard += mine.heard
            all_of_them.lost += mine.lost
            all_of_them.gaps += mine.gaps

    def _finish(self) -> None:
        """What is left reaches disk, broker and reader."""
        for _ in range(round(REST)):
            self._clock.advance(1.0)
            self._disk.tend(self._broker)
        deadline = time.monotonic() + 10
        while self._reader.lines + self._out.dropped < self._ledger.lines and time.monotonic() < deadline:
            self._reader.read()
            time.sleep(1e-3)
        self._out.close(1.0)
        self.outcome.dropped_lines, self.outcome.unsaved = self._out.dropped, self._disk.dropped
        self._disk.store.close()
        self._reader.close()


def soak(
    hours: float, sources: int, seed: int, calm: float = 1.0, stopping: Callable[[], bool] = lambda: False
) -> Outcome:
    """Listens for so long, or until `stopping()`.

    `seed` decides which faults come when, `calm` stretches the time between them.
    """
    with tempfile.TemporaryDirectory() as folder:
        clock = VirtualClock()
        with on_clock(clock):
            return Soak(Path(folder), clock, sources, seed, calm).run(hours, stopping)


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
    stopped = Flag()
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    outcome = soak(own.hours, own.sources, own.seed, stopping=stopped.is_set)
    took = time.monotonic() - began
    ledger = outcome.ledger
    print(f"{outcome.elapsed / 3_600:.2f} h of virtual time, {own.sources} sources, in {took:.0f} s")
    for device in outcome.devices:
        totals = outcome.totals[device.name]
        causes = ", ".join(f"{cause} {seconds:.1f} s" for cause, seconds in sorted(ledger.lost[device.name].items()))
        faults = ", ".join(f"{count} x {fault}" for fault, count in sorted(device.faults.items()))
        print(f"{device.name}: heard {totals.heard:.1f} s, lost {totals.lost:.1f} s in {totals.gaps} gaps ({causes})")
        print(f"      faults of the device: {faults}")
    print(", ".join(f"{count} x {trouble}" for trouble, count in sorted(outcome.troubles.items())))
    taken = outcome.broker.taken
    print(f"{ledger.begun} events, {len(ledger.open)} without end, {ledger.ended_late} ended by the next run")
    print(
        f"at the broker {taken['new']} events, {taken['end']} ends, {taken['gap']} of {ledger.gaps} gaps, "
        f"{taken['denied']} messages denied at first, {taken['twice']} twice; {outcome.dropped_lines} lines dropped"
    )
    start, end = outcome.memory[len(outcome.memory) // 10][1], outcome.memory[-1][1]
    print(f"resident memory {start:.1f} MB to {end:.1f} MB, slope {outcome.slope():+.3f} MB an hour")
    problems = outcome.check()
    for problem in problems:
        print(f"DOES NOT ADD UP: {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
