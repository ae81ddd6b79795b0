"""What Tab offers, asked as the shells ask for it, and typed into a real bash."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal.emulator import Grid
from tests.conftest import ROOT, require_programs


def offered(*words: str, shell: str = "zsh", cwd: Path = ROOT) -> list[str]:
    """For a line of these words, the last one not finished."""
    environment = {**os.environ, "_ASIT_EDGE_COMPLETE": f"complete_{shell}", "PYTHONPATH": str(ROOT)}
    if shell == "bash":
        environment |= {"COMP_WORDS": "\n".join(("asit-edge", *words)), "COMP_CWORD": str(len(words))}
    else:
        environment["_TYPER_COMPLETE_ARGS"] = " ".join(("asit-edge", *words))
    program = "import sys; sys.argv[0] = 'asit-edge'; from asit_edge.cli.app import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=cwd)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


def test_commands_and_options_are_offered() -> None:
    assert "listen" in offered("", shell="bash")
    assert offered("lab", shell="bash") == ["labels"]
    assert "--json" in offered("labels", "--j", shell="bash")


def test_bundles_of_the_package_and_folders_are_offered(tmp_path: Path) -> None:
    (tmp_path / "asit-of-mine").mkdir()
    assert offered("labels", "--model", "asit-", shell="bash", cwd=tmp_path) == [
        "asit-stream-nano",
        "asit-warm-tiny",
        "asit-of-mine/",
    ]
    (tmp_path / "asit-of-mine" / "v2").mkdir()
    assert offered("model", "info", "asit-of-mine/", shell="bash", cwd=tmp_path) == ["asit-of-mine/v2/"]
    assert offered("labels", "--model", "nowhere/", shell="bash", cwd=tmp_path) == []


def test_labels_are_offered_of_the_bundle_that_is_named() -> None:
    assert offered("events", "--label", "Dog", shell="bash") == ["Dog"]
    assert "Baby cry, infant cry" in "".join(offered("events", "--label", "Ba", shell="zsh"))
    assert offered("labels", "--model", "nowhere", "Dog", shell="bash") == []


def test_in_bash_blanks_are_quoted_unless_a_quote_is_there() -> None:
    assert offered("missed", "Baby", shell="bash") == ["Baby\\ cry,\\ infant\\ cry"]
    assert offered("missed", "Baby\\ c", shell="bash") == ["Baby\\ cry,\\ infant\\ cry"]
    assert offered("missed", "baby", shell="bash") == ["Baby\\ cry,\\ infant\\ cry"]
    assert offered("missed", '"Baby', shell="bash") == ["Baby cry, infant cry"]


def test_sources_are_those_of_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("sources: [{type: stdin, name: hall}, {type: stream, name: yard, url: 'http://127.0.0.1:9/'}]\n")
    assert offered("events", "--config", str(config), "--source", "", shell="bash") == ["hall", "yard"]
    config.write_text("sources: {\n")
    assert offered("events", "--config", str(config), "--source", "", shell="bash") == []


def test_schemas_are_offered() -> None:
    assert set(offered("schema", "e", shell="bash")) == {"error", "event"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_shown(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[:] = ['asit-edge', '--show-completion', sys.argv[1]];"
         "from asit_edge.cli.app import main; main()", shell],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "_ASIT_EDGE_COMPLETE" in done.stdout


COMPLETED = "asit-edge missed Baby cry, infant cry"


def test_tab_works_in_bash(tmp_path: Path) -> None:
    """The script as it would be installed, a line, Tab, and what stands on it then."""
    require_programs("bash")
    program = tmp_path / "asit-edge"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\nsys.argv[0] = 'asit-edge'\n"
        "from asit_edge.cli.app import main\nmain()\n"
    )
    program.chmod(0o755)
    shown = _in_bash(tmp_path, b"asit-edge missed Baby\t\x01echo \x05\r")
    assert COMPLETED in shown.everything


def _in_bash(folder: Path, keys: bytes) -> Grid:
    import pty
    import select
    import time

    master, slave = pty.openpty()
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PS1": "$ ", "TERM": "xterm"}
    bash = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
        start_new_session=True,
        cwd=folder,
    )
    os.close(slave)
    grid, begun = Grid(160, 50), False
    try:
        install = (
            b'eval "$(_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION=1 asit-edge --show-completion bash)"; echo re""ady\r'
        )
        os.write(master, install)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                grid.feed(os.read(master, 1 << 16).decode("utf-8", "replace").replace("\x07", "").replace("\x08", ""))
            if not begun and grid.everything[-2:] == ["ready", "$"]:
                os.write(master, keys)
                begun = True
            if begun and COMPLETED in grid.everything:
                return grid
        return grid
    finally:
        bash.kill()
        bash.wait()
        os.close(master)
