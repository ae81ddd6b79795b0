"""What the documents name is there: files, folders, modules and tests."""

import re
from pathlib import Path

import pytest

from tests.architecture import modules
from tests.conftest import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

FILES = re.compile(r"(?<![\w/.-])((?:asit_edge|trainer|export|bench|tests|scripts|systemd|docs)/[\w./-]*[\w/])")
MODULES = re.compile(r"(?<![\w/.-])((?:asit_edge|trainer|export|bench)(?:\.[a-z_0-9]+)+)\b(?!\()")


def absent_files(text: str) -> list[str]:
    return [name for name in FILES.findall(text) if not (ROOT / name).exists()]


def absent_modules(text: str) -> list[str]:
    """Dotted names that are neither a module nor something in one."""
    known = modules()
    files = {name for name, file in known.items() if file.name != "__init__.py"}
    return [name for name in MODULES.findall(text) if name not in known and name.rpartition(".")[0] not in files]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_what_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert absent_files(text) == []
    assert absent_modules(text) == []


def absent_tests(text: str) -> list[str]:
    """Names of tests that no test has."""
    there = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:def )?(test_\w+)(?:\(| = )", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    return [name for name in re.findall(r"`(test_\w+)`", text) if name not in there]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_that_documents_name_are_there(document: Path) -> None:
    assert absent_tests(document.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", ["faults", "security"])
def test_every_row_names_a_test_or_says_that_nothing_is_done(page: str) -> None:
    lines = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").splitlines()
    rows = [
        line for line in lines if line.startswith("| ") and not line.startswith(("| fault |", "| who |", "| module"))
    ]
    assert len(rows) > 10
    assert [row for row in rows if "`test_" not in row and "| nothing: " not in row and not row.endswith(" % |")] == []


def test_what_is_absent_is_found() -> None:
    text = "see `trainer/nothing.py`, `trainer.nothing`, `trainer/pretrain.py` and `trainer.pretrain.pretrain`"
    assert absent_files(text) == ["trainer/nothing.py"]
    assert absent_modules(text) == ["trainer.nothing"]
    assert absent_tests("`test_what_is_absent_is_found` and `test_nothing_of_the_kind`") == ["test_nothing_of_the_kind"]
