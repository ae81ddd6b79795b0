"""No number is given twice, whatever becomes of the disk and the clock."""

import os
import time
from pathlib import Path

import pytest

from asit_edge.store.database import lock_file
from asit_edge.store.numbers import EARLIEST, Numbers
from asit_edge.store.store import Store
from tests.store.samples import TO_MQTT, event


class Run:
    """One run of a listener after the other, each killed with -9: nothing is closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.given: list[int] = []

    def begin(self) -> None:
        self.store = Store(self.path, sinks=TO_MQTT)

    def hear(self, many: int = 3) -> None:
        self.given += [one.seq for one in self.store.commit([event(number) for number in range(many)], "t")]
        assert len(set(self.given)) == len(self.given), "no number twice"
        assert self.given == sorted(self.given)

    def fail(self) -> None:
        self.store._disk.database.execute("PRAGMA query_only=ON")  # type: ignore[union-attr]

    def kill(self) -> None:
        database, lease = self.store._disk.database, self.store._disk._lease
        if database is not None:
            database.close()
        if lease is not None:
            lease.close()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "disk" / "events.db")


def test_a_disk_that_fills_up_while_listening(run: Run) -> None:
    run.begin()
    run.hear()
    run.fail()
    run.hear()
    assert run.given == [1, 2, 3, 4, 5, 6], "counted on"
    run.kill()
    run.begin()
    run.hear()
    assert run.given[6:] == [7, 8, 9]


def test_a_disk_that_becomes_read_only_while_listening(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.begin()
    run.hear()
    run.fail()
    monkeypatch.setattr(Numbers, "keep", lambda self: False)
    run.hear()
    assert run.given[3] > EARLIEST
    heard = [one.payload for one in run.store.waiting("mqtt", 0, 10)]
    assert [f'"seq":{seq},' in payload for seq, payload in zip(run.given, heard, strict=True)] == [True] * 6
    run.kill()
    run.given = run.given[3:]  # what the disk has is known; of the rest nothing is
    monkeypatch.undo()
    run.begin()
    told = [one.seq for one in run.store.commit([event()], "t")]
    assert told == [4]


def test_a_disk_that_is_not_there_at_the_start_time_and_again(run: Run) -> None:
    run.begin()
    run.hear()
    run.kill()
    run.path.parent.rename(run.path.parent.with_name("unplugged"))
    run.path.parent.write_text("a file where the folder should be")
    for _ in range(3):
        run.begin()
        assert run.store.problem is not None
        run.hear()
        run.kill()
        time.sleep(0.02)  # a process takes longer than that to begin
    run.path.parent.unlink()
    run.path.parent.with_name("unplugged").rename(run.path.parent)
    again = Store(run.path, sinks=TO_MQTT)
    assert again.commit([event()], "t")[0].seq not in run.given


def test_a_clock_that_is_wrong_gives_numbers_that_no_clock_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asit_edge.store.numbers.time.time", lambda: 3.0)
    first, second = Numbers(None), Numbers(None)
    first.jump()
    second.jump()
    assert first.last != second.last
    assert EARLIEST // 2 <= first.last < EARLIEST
    monkeypatch.undo()
    before = first.last
    first.jump()
    assert first.last > before, "never back"


def test_the_note_takes_no_more_room(tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db")
    note = lock_file(tmp_path / "events.db")
    size = note.stat().st_size
    assert size > 0
    store._numbers.last = 10**15
    assert store._numbers.keep()
    assert note.stat().st_size == size
    other = Numbers(note)
    other.go_on(5)
    assert other.last == 10**15


@pytest.mark.parametrize("content", [b"", b"nonsense", os.urandom(40), b"\0" * 17])
def test_a_spoilt_note_is_no_note(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "note").write_bytes(content)
    numbers = Numbers(tmp_path / "note")
    numbers.go_on(5)
    assert numbers.last == 5
