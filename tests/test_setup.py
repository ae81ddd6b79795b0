"""The lines that set the project up are the ones that the documents give, and each brings what it is for."""

import re
import subprocess

import pytest

from tests.conftest import ROOT

EXTRAS = {"lab": {"demo", "train", "export"}, "check": {"demo", "train", "export", "rtx", "dev"}}


def planned(target: str) -> str:
    """What `make` would do from nothing; nothing is done."""
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("target", EXTRAS)
def test_one_line_installs_all_that_is_needed(target: str) -> None:
    (installed,) = re.findall(r"^scripts/install-lab \S+/python (\S+)$", planned(target), flags=re.MULTILINE)
    assert set(installed.split(",")) == EXTRAS[target]


def test_a_demonstration_needs_no_lab() -> None:
    assert "install-lab" not in planned("demo")


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/own-sounds.md", "docs/finetuning.md"])
def test_documents_of_the_lab_name_its_one_line(document: str) -> None:
    assert "make lab" in (ROOT / document).read_text(encoding="utf-8")
