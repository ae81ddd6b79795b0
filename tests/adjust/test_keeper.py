"""A listener and a command line that adjust the same device: in force is what was asked for last, over restarts."""

import logging
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from asit_edge.adjust import file as files
from asit_edge.adjust import keeper as keepers
from asit_edge.adjust.adjustments import NOTHING, Adjustments, Snooze, obeyed
from asit_edge.adjust.file import AdjustmentsFile
from asit_edge.adjust.in_force import InForce
from asit_edge.adjust.keeper import Keeper
from asit_edge.errors import AsitEdgeError
from asit_edge.mqtt.commands import Command
from tests.adjust.test_adjustments import COMMANDS, NOW, after
from tests.integration.mosquitto import wait_for

OFF = Command("mic", "listen", None, False)
QUIET = Command("mic", "report", "Dog", False)

Plain = dict[tuple[str, str | None, str], Any]
"""By source, label and what of it: what is not as configured."""


def plain(adjustments: Adjustments) -> Plain:
    found: Plain = {}
    for name, source in adjustments.sources.items():
        found |= {(name, None, "listen"): source.listen, (name, None, "snooze"): source.snooze}
        for label, one in source.labels.items():
            found |= {(name, label, key): getattr(one, key) for key in ("report", "snooze", "threshold")}
    return {key: value for key, value in found.items() if value is not None and value is not True}


def expected(before: Plain, command: Command | tuple[str, str | None, Snooze], wall: float) -> Plain:
    """The same in other words: a table of what is set."""
    now = dict(before)
    if not isinstance(command, Command):
        source, label, snooze = command
        if now.get((source, label, "snooze")) == snooze:
            del now[source, label, "snooze"]
        return now
    source, name, label, value = command
    if name in ("listen", "report"):
        now.pop((source, label, "snooze"), None)
    if name == "snooze":
        value = Snooze(begin=round(wall, 3), until=round(wall + value, 3)) if value else None
    now[source, label, name] = value
    return {key: one for key, one in now.items() if one is not None and one is not True}


class TwoWriters(RuleBasedStateMachine):
    """The keeper looks when it is told to; time passes, the system clock is set, the listener is killed."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.file = AdjustmentsFile(self.folder / "adjustments.yaml")
        self.steady, self.wall = 100.0, NOW
        self.kept: Plain = {}
        self.start()

    def start(self) -> None:
        self.keeper = Keeper(self.file)
        self.in_force = self.keeper.in_force
        self.seen = dict(self.kept)
        self.asked: list[tuple[Command | tuple[str, str | None, Snooze], float]] = []
        self.met: dict[tuple[str, str | None, Snooze], tuple[float, float]] = {}
        self.look_at_snoozes()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def now(self) -> Plain:
        found = self.seen
        for command, at in self.asked:
            found = expected(found, command, at)
        return found

    @rule(command=COMMANDS)
    def the_listener_is_commanded(self, command: Command) -> None:
        self.in_force.obey(command, self.wall)
        self.asked.append((command, self.wall))
        self.look_at_snoozes()

    @rule(command=COMMANDS)
    def the_command_line_changes_the_file(self, command: Command) -> None:
        self.file.change(lambda before: obeyed(before, command, self.wall))
        self.kept = expected(self.kept, command, self.wall)

    @rule()
    def the_keeper_looks(self) -> None:
        for command, at in self.asked:
            self.kept = expected(self.kept, command, at)
        self.keeper._look()
        self.seen, self.asked = dict(self.kept), []
        self.look_at_snoozes()

    @rule()
    def the_listener_is_killed(self) -> None:
        self.start()

    @rule(seconds=st.floats(0, 4 * 86_400), set_by=st.just(0.0) | st.floats(-1e6, 1e6))
    def time_passes(self, seconds: float, set_by: float) -> None:
        self.steady += seconds
        self.wall += seconds + set_by
        self.look_at_snoozes()

    def look_at_snoozes(self) -> None:
        for (source, label, key), snooze in self.now().items():
            if key == "snooze":
                left = min(max(snooze.until - self.wall, 0), snooze.until - snooze.begin)
                self.met.setdefault((source, label, snooze), (self.steady, left))
        self.in_force.tend(self.steady, self.wall)
        there = {(source, label, one) for (source, label, key), one in self.now().items() if key == "snooze"}
        self.met = {place: one for place, one in self.met.items() if place in there}
        for place, (since, left) in self.met.items():
            if self.steady >= since + left:
                self.asked.append((place, self.wall))

    @invariant()
    def what_is_in_force_is_what_was_asked_for_last(self) -> None:
        assert plain(self.in_force.adjustments) == self.now()

    @invariant()
    def the_file_has_what_was_written(self) -> None:
        assert plain(self.file.read()) == self.kept


TwoWriters.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
test_nobodys_change_is_lost_and_every_snooze_ends = TwoWriters.TestCase


def test_a_snooze_lasts_as_long_as_it_was_asked_for_and_goes_on_after_a_restart() -> None:
    in_force = InForce()
    in_force.obey(Command("mic", "snooze", "Dog", 60.0), NOW)
    assert in_force.tend(100, NOW)
    assert not in_force.tend(159.9, NOW + 3_600), "the system clock was set forward"
    again = InForce(in_force.adjustments)
    assert again.tend(5, NOW + 40)
    assert not again.tend(24.9, NOW + 59.9)
    assert again.tend(25, NOW + 60)
    assert again.adjustments == NOTHING
    assert in_force.tend(160, NOW)
    assert in_force.adjustments == NOTHING


def test_a_clock_that_was_wrong_by_years_makes_no_snooze_longer() -> None:
    kept = obeyed(NOTHING, Command("mic", "snooze", None, 1_800.0), NOW + 1e8)
    in_force = InForce(kept)
    in_force.tend(0, NOW)
    assert in_force.adjustments == kept
    in_force.tend(1_800, NOW + 1_800)
    assert in_force.adjustments == NOTHING


def test_a_command_that_cannot_be_is_logged_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    in_force = InForce()
    in_force.obey(Command("mic", "threshold", "Dog", 7.0), NOW)
    assert "mic: command threshold 7.0 cannot be obeyed" in caplog.text
    assert in_force.adjustments == NOTHING
    assert in_force.waiting() == []


def test_what_waits_for_the_disk_is_bounded() -> None:
    in_force = InForce()
    for number in range(1_000):
        in_force.obey(Command("mic", "threshold", "Dog", 0.2 + number / 10_000), NOW)
        in_force.obey(Command("mic", "snooze", "Dog", float(number)), NOW)
    assert len(in_force.waiting()) == 2


@pytest.fixture
def file(tmp_path: Path) -> AdjustmentsFile:
    return AdjustmentsFile(tmp_path / "adjustments.yaml")


def test_a_command_is_on_disk_at_once_and_the_files_changes_are_taken_up(file: AdjustmentsFile) -> None:
    keeper = Keeper(file)
    keeper.start()
    keeper.in_force.obey(OFF, NOW)
    wait_for(lambda: file.read() == after(OFF), 5, "the command is kept")
    file.change(lambda before: obeyed(before, QUIET, NOW))
    wait_for(lambda: keeper.in_force.adjustments == after(OFF, QUIET), 5, "the file is read")
    file.path.unlink()
    wait_for(lambda: keeper.in_force.adjustments == NOTHING, 5, "the file is gone")
    keeper.in_force.obey(QUIET, NOW)
    keeper.stop(5)
    assert file.read() == after(QUIET)
    assert not keeper._thread.is_alive()


def test_a_damaged_file_changes_nothing_and_is_begun_anew(
    file: AdjustmentsFile, caplog: pytest.LogCaptureFixture
) -> None:
    file.path.write_text("sources: [")
    keeper = Keeper(file)
    assert "nothing is adjusted: repair it, or begin anew with asit-edge set reset" in caplog.text
    keeper.in_force.obey(OFF, NOW)
    keeper._look()
    assert file.read() == after(OFF)
    file.path.write_text("sources: [}")
    for _ in range(3):
        keeper._look()
    assert caplog.text.count("what was adjusted before holds") == 1
    keeper.in_force.obey(QUIET, NOW)
    keeper._look()
    assert file.read() == keeper.in_force.adjustments == after(OFF, QUIET), "what held before is not lost with the file"


def test_a_disk_that_takes_nothing_is_said_once_and_tried_again(
    file: AdjustmentsFile, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Keeper(file)
    monkeypatch.setattr(keepers, "RETRY", 0.1)
    file.path.with_name("adjustments.yaml.lock").mkdir()
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            keeper.in_force.obey(OFF, NOW)
            keeper._look()
            time.sleep(0.15)
        assert caplog.text.count("is forgotten at the next start unless it can be written") == 1
        assert keeper.in_force.adjustments == after(OFF), "it holds all the same"
        file.path.with_name("adjustments.yaml.lock").rmdir()
        keeper._look()
    assert "can be written again" in caplog.text
    assert file.read() == after(OFF)
    assert keeper.in_force.waiting() == []


def test_a_full_disk_costs_nothing_of_what_held_before_the_file_was_damaged(
    file: AdjustmentsFile, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise AsitEdgeError(f"{path}: cannot be written (No space left on device)")

    keeper = Keeper(file)
    keeper.in_force.obey(OFF, NOW)
    keeper._look()
    file.path.write_text("sources: [")
    keeper._look()
    keeper.in_force.obey(QUIET, NOW)
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_whole", full)
        for _ in range(3):
            keeper._look()
            assert keeper.in_force.adjustments == after(OFF, QUIET)
            assert file.path.read_text() == "sources: [", "it is where its owner can repair it"
    monkeypatch.setattr(keepers, "RETRY", 0.0)
    keeper._look()
    assert file.read() == keeper.in_force.adjustments == after(OFF, QUIET)
    assert caplog.text.count("it is kept as adjustments.yaml.damaged-") == 1
