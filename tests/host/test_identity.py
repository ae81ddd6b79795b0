"""A device keeps its identity for as long as its state stays where it is; a copy on another machine gets its own."""

import json
from pathlib import Path

import pytest

from asit_edge.host import identity
from asit_edge.host.identity import identify, machine


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that says which machine this is."""
    file = tmp_path / "machine-id"
    file.write_text("one\n")
    monkeypatch.setattr(identity, "MACHINE", (tmp_path / "no board", file))
    return file


def test_an_identity_lasts_and_a_run_does_not(tmp_path: Path, here: Path) -> None:
    file = tmp_path / "state" / "events.db.identity"
    first, second = identify(file), identify(file)
    assert first.id == second.id
    assert (first.last_run, second.last_run) == (None, first.run)
    assert not first.copied
    assert not second.copied
    assert file.stat().st_mode & 0o077 == 0


def test_on_another_machine_it_is_a_copy_and_gets_its_own(
    tmp_path: Path, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "events.db.identity"
    original = identify(file)
    here.write_text("two\n")
    copy = identify(file)
    assert copy.copied
    assert copy.id != original.id
    assert copy.last_run is None
    assert "comes from another machine" in caplog.text
    again = identify(file)
    assert (again.id, again.copied, again.last_run) == (copy.id, False, copy.run)


def test_a_machine_that_is_not_known_is_no_other(tmp_path: Path, here: Path) -> None:
    file = tmp_path / "events.db.identity"
    original = identify(file)
    here.unlink()
    assert machine() == ""
    assert identify(file).id == original.id


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"identity": 3}', "\x00"])
def test_a_spoilt_file_costs_the_identity_and_nothing_else(tmp_path: Path, here: Path, content: str) -> None:
    file = tmp_path / "events.db.identity"
    file.write_text(content)
    assert not identify(file).copied
    assert json.loads(file.read_text())["identity"] == identify(file).id


def test_where_nothing_can_be_written_it_is_the_machines(tmp_path: Path, here: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    file = tmp_path / "state" / "events.db.identity"
    assert identify(file).id == identify(file).id
    assert identify(file).run != identify(file).run


def test_the_machine_is_not_given_away(here: Path) -> None:
    assert "one" not in machine()
    assert len(machine()) == 16
