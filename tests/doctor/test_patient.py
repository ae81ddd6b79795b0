"""Whether a listener runs is told from its lock, without touching it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asit_edge.config.root import Config
from asit_edge.doctor.patient import Patient, lock_holder
from asit_edge.store.database import lease, lock_file

HOLDS = """
import sys, time
from pathlib import Path
from asit_edge.store.database import lease
held = lease(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def patient(path: Path) -> Patient:
    return Patient(Config.model_validate({"store": {"path": path}}))


def test_a_listener_is_known_by_the_lock_that_it_holds(tmp_path: Path) -> None:
    store = tmp_path / "events.db"
    (tmp_path / "heard.json").write_text(json.dumps({"mic": time.time() - 5, "yard": time.time() - 500}))
    assert patient(store).listener is None
    assert not patient(store).heard_recently("mic"), "what an earlier listener heard says nothing"
    other = subprocess.Popen([sys.executable, "-c", HOLDS, store], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert patient(store).listener == other.pid
        assert [patient(store).heard_recently(name) for name in ("mic", "yard", "gate")] == [True, False, False]
    finally:
        other.kill()
        other.wait()
    assert patient(store).listener is None
    lease(store).close()  # asking has locked nothing


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"mic": null}', '{"mic": "late"}', "\x00"])
def test_a_note_that_cannot_be_read_says_nothing(tmp_path: Path, note: str) -> None:
    store = tmp_path / "events.db"
    (tmp_path / "heard.json").write_text(note)
    with lease(store):
        assert patient(store).listener is not None
        assert not patient(store).heard_recently("mic")


def test_locks_of_other_kinds_and_files_are_not_taken_for_it(tmp_path: Path) -> None:
    file = tmp_path / "events.db.lock"
    file.touch()
    inode = file.stat().st_ino
    locks = tmp_path / "locks"
    locks.write_text(
        f"1: POSIX  ADVISORY  WRITE 11 fe:00:{inode} 0 EOF\n"
        f"2: FLOCK  ADVISORY  READ 12 fe:00:{inode} 0 EOF\n"
        f"3: FLOCK  ADVISORY  WRITE 13 fe:00:{inode + 1} 0 EOF\n"
        f"3: -> FLOCK  ADVISORY  WRITE 14 fe:00:{inode} 0 EOF\n"
        "short\n"
    )
    assert lock_holder(file, locks) is None
    locks.write_text(f"1: FLOCK  ADVISORY  WRITE 42 fe:00:{inode} 0 EOF\n")
    assert lock_holder(file, locks) == 42
    assert lock_holder(file, tmp_path / "none") is None
    assert lock_holder(tmp_path / "none", locks) is None
    assert lock_file(tmp_path / "events.db") == file


def test_commands_are_typed_with_the_configuration(tmp_path: Path) -> None:
    assert Patient(Config()).command("refused") == "asit-edge refused"
    odd = Patient(Config(), Path("/etc/my device/config.yaml"))
    assert odd.command("refused --requeue") == "asit-edge refused --requeue --config '/etc/my device/config.yaml'"


def test_a_user_without_a_home_has_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    assert Patient(Config()).store is None
    assert Patient(Config()).listener is None
    assert not Patient(Config()).heard_recently("microphone")
