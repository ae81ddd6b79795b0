"""The rooms and their doors: the device never needs the lab, and never loads torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

ALLOWED = {
    "asit_edge": {"asit_edge"},
    "trainer": {"asit_edge", "trainer"},
    "export": {"asit_edge", "trainer", "export"},
}


def imported(file: Path) -> set[str]:
    """The top-level packages that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_only_what_they_may(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        assert imported(file) & set(ALLOWED) <= ALLOWED[package], file
        if package == "asit_edge":
            assert not imported(file) & {"torch", "torchaudio", "scipy", "sklearn"}, file


def test_the_command_line_never_loads_torch() -> None:
    modules = "asit_edge.cli.app, asit_edge.listen.loop, asit_edge.listen.replay, asit_edge.cli.tag, asit_edge.cli.demo"
    code = f"import {modules}, sys; assert 'torch' not in sys.modules, 'torch is loaded'"
    subprocess.run([sys.executable, "-c", code], check=True)
