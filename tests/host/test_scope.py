"""A scope for a child: asked for where a user's manager may give one, and done without where it does not."""

import subprocess
from pathlib import Path

import pytest

from asit_edge.host.scope import in_own_scope


def manager(folder: Path, does: str) -> dict[str, str]:
    """The environment of a user whose `systemd-run` does this, and notes what it was told."""
    program = folder / "systemd-run"
    program.write_text(f'#!/bin/sh\necho "$@" >>"{folder}/told"\n{does}\n', encoding="utf-8")
    program.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "XDG_RUNTIME_DIR": str(folder)}


def test_the_command_runs_in_a_scope_with_its_own_limit(tmp_path: Path) -> None:
    environment = manager(tmp_path, 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"')
    command = in_own_scope(["echo", "built"], "80%", environment)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "built\n"
    tried, told = (tmp_path / "told").read_text().splitlines()
    assert told == "--user --scope --quiet --collect --property=MemoryMax=80% -- echo built"
    assert tried.endswith("-- true")


def test_where_the_manager_refuses_it_runs_as_it_is(tmp_path: Path) -> None:
    environment = manager(tmp_path, "echo 'Failed to connect to bus' >&2; exit 1")
    assert in_own_scope(["echo", "built"], "80%", environment) == ["echo", "built"]


@pytest.mark.parametrize("lacking", ["PATH", "XDG_RUNTIME_DIR"])
def test_without_a_manager_nothing_is_tried(tmp_path: Path, lacking: str) -> None:
    environment = {**manager(tmp_path, "exit 0"), lacking: ""}
    assert in_own_scope(["true"], "80%", environment) == ["true"]
    assert not (tmp_path / "told").exists()
