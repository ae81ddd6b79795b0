"""What setting up a service does, one action at a time: each can be told before it is done."""

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from asit_edge.errors import AsitEdgeError, for_shell, one_line

SECONDS = 60.0
"""How long systemd may take for one command; the service itself is given 20 s to stop."""


class Write(NamedTuple):
    path: Path
    text: str

    def __str__(self) -> str:
        return f"write {for_shell(self.path)}"

    def do(self) -> None:
        """Raises AsitEdgeError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self.path.with_name(f".{self.path.name}.new")
            fresh.write_text(self.text, encoding="utf-8")
            fresh.chmod(0o644)
            fresh.replace(self.path)
        except OSError as error:
            raise AsitEdgeError(f"{self.path}: cannot be written ({error.strerror}){_as_root(error)}") from None


class Delete(NamedTuple):
    """A file, a link, or a folder with all that is in it."""

    path: Path

    def __str__(self) -> str:
        return f"delete {for_shell(self.path)}"

    def do(self) -> None:
        """What is not there any more is no mistake. Raises AsitEdgeError."""
        try:
            if self.path.is_dir() and not self.path.is_symlink():
                shutil.rmtree(self.path)
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise AsitEdgeError(f"{self.path}: cannot be deleted ({error.strerror}){_as_root(error)}") from None


class Run(NamedTuple):
    command: tuple[str, ...]
    may_fail: bool = False
    """What it would undo may be undone already."""

    def __str__(self) -> str:
        return f"run {shlex.join(self.command)}"

    def do(self) -> None:
        """Raises AsitEdgeError."""
        done = execute(self.command)
        if done.returncode and not self.may_fail:
            said = one_line(done.stderr) or f"exit code {done.returncode}"
            raise AsitEdgeError(f"{shlex.join(self.command)}: {said}")


Action = Write | Delete | Run


def execute(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Raises AsitEdgeError where it cannot be run."""
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=SECONDS
        )
    except FileNotFoundError:
        raise absent(command[0]) from None
    except subprocess.TimeoutExpired:
        raise AsitEdgeError(f"{shlex.join(command)}: no answer within {SECONDS:.0f} s") from None
    except OSError as error:
        raise AsitEdgeError(f"{command[0]}: cannot be run ({error.strerror})") from None


def carry_out(actions: Sequence[Action]) -> None:
    """All of them, or none where a program that they need is not there. Raises AsitEdgeError."""
    for one in actions:
        if isinstance(one, Run) and shutil.which(one.command[0]) is None:
            raise absent(one.command[0])
    for one in actions:
        one.do()


def absent(program: str) -> AsitEdgeError:
    return AsitEdgeError(
        f"there is no {program} here: services are for systems with systemd; elsewhere have asit-edge listen started "
        "by what starts your other programs"
    )


def _as_root(error: OSError) -> str:
    return "; run it with sudo, or install for your own user with --user" if isinstance(error, PermissionError) else ""
