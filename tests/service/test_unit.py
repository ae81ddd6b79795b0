"""Units are what systemd accepts, run this installation's program, and are as tight as they say."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from asit_edge.service.unit import MARK, NAME, config_in, quoted, unit
from tests.conftest import ROOT, require_programs

ODD = Path("/srv/my config %h $HOME/\"a\\b'.yaml")


@pytest.mark.parametrize("system", [True, False])
@pytest.mark.parametrize("config", [None, Path("/srv/config.yaml"), ODD])
def test_systemd_accepts_the_unit(system: bool, config: Path | None, tmp_path: Path) -> None:
    require_programs("systemd-analyze")
    program = tmp_path / "asit-edge"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    file = tmp_path / NAME
    file.write_text(unit(system=system, executable=program, config=config), encoding="utf-8")
    command = ["systemd-analyze", "--man=no", *([] if system else ["--user"]), "verify", str(file)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("system", "most"), [(True, 2.0), (False, 6.5)])
def test_the_unit_is_as_tight_as_the_documents_say(system: bool, most: float, tmp_path: Path) -> None:
    require_programs("systemd-analyze")
    file = tmp_path / NAME
    file.write_text(unit(system=system, executable=Path("/usr/bin/env"), config=None), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(file)], capture_output=True, text=True, timeout=60
    )
    found = re.search(rf"exposure level for {NAME}: ([\d.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= most


def test_what_is_written_is_the_unit_of_the_repository_with_another_program() -> None:
    for system, name in ((True, "asit-edge.service"), (False, "asit-edge.user.service")):
        written = unit(system=system, executable=Path("/opt/a/bin/asit-edge"), config=Path("/srv/c.yaml")).splitlines()
        template = (ROOT / "systemd" / name).read_text(encoding="utf-8").splitlines()
        assert written[0] == MARK
        assert set(written[1:]) - set(template) == {"ExecStart=/opt/a/bin/asit-edge listen --config /srv/c.yaml"}
        assert {line.partition("=")[0] for line in set(template) - set(written)} <= {"ExecStart", "Documentation"}


def test_words_are_taken_as_they_are() -> None:
    assert quoted("/srv/a.yaml") == "/srv/a.yaml"
    assert quoted("/a b") == '"/a b"'
    assert quoted("50%$x") == "50%%$$x"
    assert quoted('a"b\\c') == '"a\\"b\\\\c"'


@pytest.mark.parametrize("config", [None, Path("/srv/config.yaml"), ODD])
def test_the_configuration_is_found_in_the_unit_again(config: Path | None) -> None:
    assert config_in(unit(system=False, executable=Path("/x/asit-edge"), config=config)) == config
