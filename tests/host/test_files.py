"""What is kept on disk is the owner's alone: databases and what SQLite puts beside them, notes, sinks, caches."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from asit_edge.config.delivery import FileSink
from asit_edge.deliver.sinks.file import open_file
from asit_edge.errors import AsitEdgeError
from asit_edge.host.files import make_folder, tighten, write_whole
from asit_edge.listen.last_heard import LastHeard
from asit_edge.store.history import history
from asit_edge.store.store import Store
from tests.deliver.sinks.parts import EVENT
from tests.store.samples import TO_MQTT, event


@pytest.fixture(autouse=True)
def generous() -> Iterator[None]:
    """A umask that would let everybody read."""
    before = os.umask(0o000)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in sorted(folder.rglob("*"))}


def test_a_store_and_all_that_lies_beside_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "new" / "deeper" / "events.db", sinks=TO_MQTT)
    store.commit([event(1)], "mic/event")
    LastHeard(tmp_path / "new" / "deeper" / "heard.json").note({"mic": 1.0})
    found = modes(tmp_path)
    store.close()
    folders = {name for name in found if (tmp_path / name).is_dir()}
    assert folders == {"new", "new/deeper"}
    assert {found[name] for name in folders} == {0o700}
    files = {name.rpartition("/")[2]: mode for name, mode in found.items() if name not in folders}
    assert files == dict.fromkeys(
        ["events.db", "events.db-wal", "events.db-shm", "events.db.lock", "heard.json"], 0o600
    )


def test_files_of_an_older_version_are_tightened_at_the_start(tmp_path: Path) -> None:
    path, notes = tmp_path / "events.db", tmp_path / "heard.json"
    Store(path, sinks=TO_MQTT).close()
    LastHeard(notes).note({"mic": 1.0})
    log = tmp_path / "events.jsonl"
    for file in (log, tmp_path / "events.jsonl.1"):
        file.touch()
    for file in tmp_path.iterdir():
        file.chmod(0o644)
    store = Store(path, sinks=TO_MQTT)
    LastHeard(notes)
    open_file(FileSink(type="file", path=log))
    assert set(modes(tmp_path).values()) == {0o600}
    store.close()


def test_a_sinks_file_is_its_owners_and_what_he_gives_away_stays_given(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    send = open_file(FileSink(type="file", path=log))
    send(EVENT)
    assert modes(tmp_path) == {"events.jsonl": 0o600}
    log.chmod(0o640)
    send(EVENT)
    assert modes(tmp_path) == {"events.jsonl": 0o640}


def test_a_file_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "latency.json"
    write_whole(file, b"{}")
    assert modes(tmp_path) == {"cache": 0o700, "cache/latency.json": 0o600}


def test_what_is_no_file_or_not_there_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o666)
    tighten(tmp_path / "pipe")
    tighten(tmp_path / "nothing")
    assert modes(tmp_path) == {"pipe": 0o666}


def test_a_folder_under_a_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory|File exists"):
        make_folder(tmp_path / "file" / "folder")
    with pytest.raises(OSError, match="File exists"):
        make_folder(tmp_path / "file")


def test_a_store_below_a_file_cannot_be_read_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AsitEdgeError, match=r"cannot be read \(Not a directory\)"):
        list(history(tmp_path / "file" / "events.db"))


def test_a_note_that_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notes = LastHeard(tmp_path / "nowhere" / "heard.json")
    for _ in range(3):
        notes.note({"mic": 1.0})
    assert len(caplog.records) == 1
