"""Every command's help ends with lines that can be typed: each is parsed here, and run where it needs nothing."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from asit_edge.cli.app import app
from asit_edge.cli.shared.examples import EXAMPLES

PROGRAM = "asit-edge"


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command and group by what is typed after the program's name, the program itself by ""."""
    yield " ".join(path), command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


COMMANDS = dict(commands(get_command(app)))


def ours(line: str) -> list[str]:
    """The words of the part of a shell's line that is ours."""
    [part] = [one for one in line.split("|") if shlex.split(one)[:1] == [PROGRAM]]
    return shlex.split(part)


def parse(words: list[str]) -> str:
    """Which command it is, if its options and arguments are right; nothing is done."""
    command, path, rest = COMMANDS[""], list[str](), words[1:]
    context = None
    while hasattr(command, "commands"):
        path.append(rest.pop(0))
        command = command.commands[path[-1]]
    command.make_context(" ".join([PROGRAM, *path]), rest, parent=context).close()
    return " ".join(path)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_ends_with_lines_that_can_be_typed(command: str) -> None:
    shown = CliRunner().invoke(app, [*command.split(), "--help"])
    assert shown.exit_code == 0, shown.output
    head, found, end = shown.output.partition("Examples:\n")
    assert found
    assert "Options:" in head
    lines = [line.strip() for line in end.splitlines()]
    typed = [line for line in lines if PROGRAM in line and line in EXAMPLES.get(command, {})]
    assert typed == list(EXAMPLES[command]), "as they are, not broken into several lines"
    assert typed


@pytest.mark.parametrize(("command", "line"), [(name, line) for name, some in EXAMPLES.items() for line in some])
def test_every_example_is_right(command: str, line: str) -> None:
    assert command in COMMANDS
    parsed = parse(ours(line))
    if not hasattr(COMMANDS[command], "commands"):
        assert parsed == command or EXAMPLES[command][line].startswith("shows"), "it is about the command"


def test_a_wrong_example_is_found() -> None:
    for line in ("asit-edge replay", "asit-edge replay a.wav --jsn", "asit-edge labels --model"):
        with pytest.raises(Exception, match="(?i)missing|no such|requires"):
            parse(shlex.split(line))


@pytest.mark.parametrize(
    "line",
    [
        "asit-edge labels baby",
        "asit-edge labels --all --json --model asit-stream-nano",
        "asit-edge model info",
        "asit-edge model info asit-stream-nano --json",
        "asit-edge schema event",
        "asit-edge schema config",
        "asit-edge taught list",
    ],
)
def test_what_needs_nothing_else_runs(line: str) -> None:
    assert any(line in some for some in EXAMPLES.values())
    done = subprocess.run([sys.executable, "-m", "asit_edge", *shlex.split(line)[1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
