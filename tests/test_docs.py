"""What the documents name is there: files, folders and modules."""

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


def test_what_is_absent_is_found() -> None:
    text = "see `trainer/nothing.py`, `trainer.nothing`, `trainer/pretrain.py` and `trainer.pretrain.pretrain`"
    assert absent_files(text) == ["trainer/nothing.py"]
    assert absent_modules(text) == ["trainer.nothing"]
