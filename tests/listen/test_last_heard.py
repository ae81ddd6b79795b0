"""Until when every source was heard: a note that outlives the listener, whole or not at all."""

import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.listen.last_heard import LastHeard


def test_a_note_is_there_for_the_next_run_and_for_this_one(tmp_path: Path) -> None:
    notes = LastHeard(tmp_path / "heard.json")
    assert notes.last("mic") is None
    notes.note({"mic": 5.0, "yard": 6.0})
    notes.note({"mic": 7.5})
    for either in (notes, LastHeard(tmp_path / "heard.json")):
        assert (either.last("mic"), either.last("yard"), either.last("attic")) == (7.5, 6.0, None)
    assert [file.name for file in tmp_path.iterdir()] == ["heard.json"], "nothing is left beside it"


@given(st.dictionaries(st.text(max_size=5), st.floats(0, 1e12)))
def test_every_time_is_read_back_exactly(tmp_path_factory: pytest.TempPathFactory, times: dict[str, float]) -> None:
    file = tmp_path_factory.mktemp("heard") / "heard.json"
    LastHeard(file).note(times)
    read = LastHeard(file)
    assert {name: read.last(name) for name in times} == times


def test_the_first_run_has_nothing_to_say(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    LastHeard(tmp_path / "heard.json")
    assert caplog.messages == []


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"mic": "noon"}', b'{"mic": null}', b"\xff", b"5"])
def test_a_note_that_cannot_be_read_is_named_and_replaced(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "heard.json"
    file.write_bytes(content)
    notes = LastHeard(file)
    assert len(caplog.messages) == 1
    assert "gaps since the last run are not told" in caplog.messages[0]
    assert notes.last("mic") is None
    notes.note({"mic": 1.0})
    assert json.loads(file.read_text(encoding="utf-8")) == {"mic": 1.0}


def test_a_disk_that_takes_nothing_is_said_once_and_again_when_it_has_taken_something(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "state"
    notes = LastHeard(folder / "heard.json")
    with caplog.at_level(logging.WARNING):
        notes.note({"mic": 1.0})
        notes.note({"mic": 2.0})
        assert len(caplog.messages) == 1
        folder.mkdir()
        notes.note({"mic": 3.0})
        (folder / "heard.json").unlink()
        folder.rmdir()
        notes.note({"mic": 4.0})
    assert len(caplog.messages) == 2
    assert all("cannot be written" in message for message in caplog.messages)
    assert notes.last("mic") == 4.0


def test_a_note_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "heard.json"
    for older in (file, tmp_path / "heard.new"):
        older.write_text("{}", encoding="utf-8")
        older.chmod(0o644)
    notes = LastHeard(file)
    assert file.stat().st_mode & 0o777 == 0o600
    notes.note({"mic": 1.0})
    assert file.stat().st_mode & 0o777 == 0o600
