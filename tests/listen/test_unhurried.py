"""A disk that hangs: the loop goes on, events are announced afterwards in order, and nobody speaks of overload."""

import io
import queue
import threading
import time

import pytest

from asit_edge.adjust.adjustments import AS_CONFIGURED
from asit_edge.adjust.effect import report
from asit_edge.listen.unhurried import UnhurriedAnnouncer, UnhurriedNotes
from asit_edge.messages.event import Event
from asit_edge.messages.report import Adjusted, Gap, Level, Status
from asit_edge.model.bundle import Manifest
from asit_edge.mqtt.commands import Command
from tests.store.samples import event, gap


class Slow:
    """An announcer, and notes, whose disk hangs until it is let go."""

    def __init__(self) -> None:
        self.commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self.disk = threading.Event()
        self.told: list[str] = []

    def events(self, source: str, events: list[Event]) -> list[Event]:
        self.disk.wait(20)
        self.told += [one.id for one in events]
        return [one.model_copy(update={"seq": 7}) for one in events]

    def status(self, status: Status) -> None:
        self.told.append(status.state)

    def level(self, level: Level) -> None:
        self.told.append("level")

    def gap(self, gap: Gap) -> None:
        self.disk.wait(20)
        self.told.append(gap.cause)

    def know(self, manifest: Manifest) -> None:
        self.told.append(("know", manifest.name))

    def threshold(self, source: str, label: str, on: float) -> None:
        self.told.append(label)

    def adjusted(self, adjusted: Adjusted) -> None:
        self.told.append("adjusted")

    def last(self, source: str) -> float | None:
        return 5.0

    def note(self, times: object) -> None:
        self.disk.wait(20)
        self.told.append("noted")


def test_the_loop_does_not_wait_and_what_it_said_comes_in_order() -> None:
    slow, out = Slow(), io.StringIO()
    announcer = UnhurriedAnnouncer(slow, out)
    began = time.monotonic()
    assert announcer.events("mic", [event(0)]) == []
    announcer.status(Status(schema=1, device="hall", source="mic", state="lost", since=""))
    announcer.gap(gap())
    announcer.threshold("mic", "Dog", 0.5)
    announcer.adjusted(report("hall", "mic", AS_CONFIGURED, []))
    announcer.events("mic", [event(1)])
    announcer.level(Level(schema=1, device="hall", source="mic", dbfs=0.0, peak_dbfs=0.0, rms=0.5))
    assert time.monotonic() - began < 10, "it hangs for 20 s"
    assert slow.told == ["level"]
    slow.disk.set()
    announcer.stop(5)
    assert slow.told == ["level", "id-0", "lost", "overrun", "Dog", "adjusted", "id-1"]
    assert [Event.model_validate_json(line).seq for line in out.getvalue().splitlines()] == [7, 7], "as committed"
    assert announcer.commands is slow.commands


class Gone(io.StringIO):
    """Whoever read it has gone away."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_that_whoever_reads_the_output_has_gone_reaches_the_loop_once() -> None:
    slow = Slow()
    slow.disk.set()
    announcer = UnhurriedAnnouncer(slow, Gone())
    announcer.events("mic", [event(0)])
    announcer.stop(5)
    with pytest.raises(BrokenPipeError):
        announcer.check()
    announcer.check()
    assert slow.told == ["id-0"]


def test_notes_do_not_make_it_wait_either() -> None:
    slow = Slow()
    notes = UnhurriedNotes(slow)
    began = time.monotonic()
    for _ in range(5):
        notes.note({"mic": 1.0})
    assert time.monotonic() - began < 10, "it hangs for 20 s"
    assert notes.last("mic") == 5.0
    slow.disk.set()
    notes.stop(5)
    assert 2 <= slow.told.count("noted") <= 3
