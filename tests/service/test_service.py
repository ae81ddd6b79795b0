"""`asit-edge service` against a systemctl that notes what it is told, as there is no systemd where tests run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asit_edge.errors import WrongUse
from asit_edge.service import installation
from asit_edge.service.actions import Delete, Run, Write
from asit_edge.service.installation import BUILDER, Service, installing, removing
from asit_edge.service.unit import MARK, NAME
from tests.conftest import ROOT

SYSTEMCTL = """\
#!/bin/sh
echo "$(basename "$0") $*" >>"$NOTES"
case "$*" in
    *"show"*) cat "$SHOWN" ;;
    *"$FAILS"*) echo "Failed to do it:
no such unit" >&2; exit 4 ;;
esac
"""

SHOWN = """\
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
StatusText=microphone: listening
MainPID=4711
NRestarts=2
Result=success
"""


class Machine:
    """A home, and a systemctl and journalctl in front of all others."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.notes, self.shown = folder / "notes", folder / "shown"
        programs = folder / "programs"
        for one in (self.home, programs):
            one.mkdir()
        for name in ("systemctl", "journalctl"):
            (programs / name).write_text(SYSTEMCTL, encoding="utf-8")
            (programs / name).chmod(0o755)
        self.shown.write_text(SHOWN, encoding="utf-8")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("XDG_")},
            "HOME": str(self.home),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "NOTES": str(self.notes),
            "SHOWN": str(self.shown),
            "FAILS": "nothing of it",
        }
        self.unit = self.home / ".config" / "systemd" / "user" / NAME

    def run(self, *arguments: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "asit_edge", "service", *map(str, arguments)]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
        )

    def told(self) -> list[str]:
        """What systemctl was asked for since the last look."""
        said = self.notes.read_text(encoding="utf-8").splitlines() if self.notes.exists() else []
        self.notes.unlink(missing_ok=True)
        return said

    def files(self) -> set[str]:
        return {str(one.relative_to(self.home)) for one in self.home.rglob("*") if not one.is_dir()}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_installed_and_removed_nothing_is_left_behind(machine: Machine, tmp_path: Path) -> None:
    config = tmp_path / "my config.yaml"
    config.write_text("device: hall\n", encoding="utf-8")
    done = machine.run("install", "--user", "--config", config)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("  ")] == [
        f"  write {machine.unit}",
        "  run systemctl --user daemon-reload",
        f"  run systemctl --user enable {NAME}",
        f"  run systemctl --user restart {NAME}",
    ]
    assert machine.files() == {str(machine.unit.relative_to(machine.home))}
    text = machine.unit.read_text(encoding="utf-8")
    assert f'ExecStart={Path(sys.prefix) / "bin" / "asit-edge"} listen --config "{config}"\n' in text
    assert machine.told() == [
        "systemctl --user daemon-reload",
        f"systemctl --user enable {NAME}",
        f"systemctl --user restart {NAME}",
    ]

    changes = machine.unit.with_name(f"{NAME}.d") / "override.conf"
    changes.parent.mkdir()
    changes.write_text("[Service]\nNice=5\n", encoding="utf-8")
    state = machine.home / ".local" / "state" / "asit-edge" / "events.db"
    state.parent.mkdir(parents=True)
    state.touch()
    done = machine.run("remove", "--user")
    assert done.returncode == 0, done.stderr
    assert f"to delete it: rm -r {state.parent} '{config}'" in done.stdout
    assert machine.files() == {str(state.relative_to(machine.home))}
    assert machine.told() == [
        f"systemctl --user disable --now {NAME}",
        "systemctl --user daemon-reload",
        f"systemctl --user reset-failed {NAME}",
    ]
    assert f"  delete {state.parent}" in machine.run("remove", "--user", "--purge").stdout
    assert machine.files() == set()
    assert config.exists()
    assert machine.run("remove", "--user").stdout == f"nothing to remove: there is no {machine.unit}\n"


def test_a_dry_run_touches_nothing(machine: Machine) -> None:
    done = machine.run("install", "--user", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"would do:\n  write {machine.unit}\n")
    assert machine.files() == set()
    assert machine.told() == []
    machine.run("install", "--user")
    machine.told()
    assert machine.run("remove", "--user", "--purge", "--dry-run").returncode == 0
    assert machine.unit.exists()
    assert machine.told() == []


def test_what_somebody_else_has_written_is_left_alone(machine: Machine) -> None:
    machine.unit.parent.mkdir(parents=True)
    machine.unit.write_text("[Service]\nExecStart=/bin/true\n", encoding="utf-8")
    done = machine.run("install", "--user")
    assert done.returncode == 2
    assert f"mv {machine.unit} {machine.unit}.before" in done.stderr
    assert "ExecStart=/bin/true" in machine.unit.read_text(encoding="utf-8")


def test_a_configuration_that_cannot_be_used_is_no_service(machine: Machine, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("mqqt: {}\n", encoding="utf-8")
    done = machine.run("install", "--user", "--config", config)
    assert (done.returncode, machine.files()) == (2, set())
    assert "did you mean 'mqtt'?" in done.stderr


def test_a_failure_says_which_step_and_why_in_one_line(machine: Machine) -> None:
    done = machine.run("install", "--user", FAILS="restart")
    assert done.returncode == 1
    assert done.stderr == (f"asit-edge: error: systemctl --user restart {NAME}: Failed to do it: no such unit\n")
    assert machine.run("remove", "--user", FAILS="disable").returncode == 0
    assert machine.files() == set()


def test_without_systemd_that_is_said(machine: Machine, tmp_path: Path) -> None:
    done = machine.run("install", "--user", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "there is no systemctl here" in done.stderr
    assert machine.files() == set()


def test_status_and_logs(machine: Machine) -> None:
    done = machine.run("status", "--user")
    assert done.returncode == 0, done.stderr
    assert "active (running), enabled" in done.stdout
    assert "sources: microphone: listening\nprocess: 4711, started again 2 time(s)\n" in done.stdout
    machine.shown.write_text("LoadState=not-found\n", encoding="utf-8")
    done = machine.run("status", "--user")
    assert (done.returncode, done.stdout) == (1, "not installed; asit-edge service install --user does it\n")
    machine.told()
    machine.run("logs", "--user", "--follow", "-n", "7")
    machine.run("logs", "--system")
    assert machine.told() == [
        f"journalctl --user --unit {NAME} --lines 7 --follow",
        f"journalctl --unit {NAME} --lines 50 --no-pager",
    ]


@pytest.fixture
def systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of which the program can be seen by all; where units of the system go on it."""
    folder = tmp_path / "units"
    monkeypatch.setattr(installation, "SYSTEM_UNITS", folder)
    monkeypatch.setattr(installation, "HIDDEN", ("/home",))
    monkeypatch.setattr(installation, "SYSTEM_DATA", (str(tmp_path / "state"), str(tmp_path / "cache")))
    return folder


def test_the_systems_service(systems: Path, tmp_path: Path) -> None:
    service, program = Service(system=True), Path("/opt/asit-edge/bin/asit-edge")
    written, *runs = installing(service, program, Path("/etc/asit-edge/config.yaml"))
    assert isinstance(written, Write)
    assert written.path == systems / NAME
    assert "ExecStart=/opt/asit-edge/bin/asit-edge listen\n" in written.text
    assert "DynamicUser=yes" in written.text
    assert runs == [
        Run(("systemctl", "daemon-reload")),
        Run(("systemctl", "enable", NAME)),
        Run(("systemctl", "restart", NAME)),
    ]
    assert installing(service, program, None, start=False)[-1] == runs[1]
    assert removing(service, purge=True) == []
    written.do()
    assert written.path.read_text(encoding="utf-8").startswith(MARK)
    assert written.path.stat().st_mode & 0o777 == 0o644
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "events.db").touch()
    gone = [one for one in removing(service, purge=True) if isinstance(one, Delete)]
    assert gone == [Delete(systems / NAME), Delete(tmp_path / "state")]
    for one in gone:
        one.do()
    assert [one.name for one in tmp_path.iterdir()] == ["units"]
    assert list(systems.iterdir()) == []


def test_the_system_does_not_see_homes(systems: Path) -> None:
    service = Service(system=True)
    with pytest.raises(WrongUse, match="/home/ann/.local/bin/asit-edge: the system's service does not see home"):
        installing(service, Path("/home/ann/.local/bin/asit-edge"), None)
    with pytest.raises(WrongUse, match="sudo install -D -m 644 /home/ann/c.yaml /etc/asit-edge/config.yaml"):
        installing(service, Path("/opt/asit-edge/bin/asit-edge"), Path("/home/ann/c.yaml"))


def test_the_builder_beside_the_systems_service_goes_with_it(systems: Path) -> None:
    service = Service(system=True)
    systems.mkdir()
    for name in BUILDER:
        (systems / name).touch()
    off, *rest = removing(service, purge=False)
    assert off == Run(("systemctl", "disable", "--now", NAME, *BUILDER), may_fail=True)
    assert [one for one in rest if isinstance(one, Delete)] == [Delete(systems / name) for name in BUILDER]
    assert [(ROOT / "systemd" / name).is_file() for name in BUILDER] == [True, True]
