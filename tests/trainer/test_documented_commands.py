"""Commands of the lab that documents print are such as can be pasted: whole, of modules and with options that exist."""

import re
import runpy
import shlex
from functools import cache
from typing import Any
from unittest import mock

import pytest
import typer

from tests.conftest import ROOT
from trainer.run import command as lab

BLOCKS = re.compile(r"(?:^ {4,}.*\n)+", re.MULTILINE)
STARTS = re.compile(r"^ +(?:[A-Z_]+=\S+ )*(?:\S*/)?(?:python|torchrun)\b", re.MULTILINE)
HOUSE = re.compile(r"\bpython -m ((?:trainer|export)\.\w+(?:\.\w+)*)(.*)")


def commands(text: str) -> list[str]:
    """Lines of a document's blocks that start the lab's programs, with what their variables stand for."""
    found, variables = [], {}
    for block in BLOCKS.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if given := re.fullmatch(r'\s*(\w+)="([^"]*)"', line):
                variables[given[1]] = given[2]
            elif STARTS.match(line):
                found.append(re.sub(r"\$(\w+)", lambda one: variables.get(one[1], one[0]), line.strip()))
    return found


DOCUMENTED = [
    (document.name, command)
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for command in commands(document.read_text(encoding="utf-8"))
]


@cache
def parser_of(module: str) -> Any:
    """What the module would run."""
    with mock.patch.object(lab, "run") as started:
        runpy.run_module(module, run_name="__main__")
    command = started.call_args.args[1]
    app = command if isinstance(command, typer.Typer) else lab.new_app()
    if app is not command:
        app.command()(command)
    return typer.main.get_command(app)


def check(command: str) -> None:
    """Raises what the parser of its options raises, AssertionError where it is not whole."""
    words = shlex.split(command, comments=True)
    assert "..." not in words, "not whole"
    for found in HOUSE.finditer(" ".join(shlex.quote(word) for word in words)):
        parser, arguments = parser_of(found[1]), shlex.split(found[2])
        while arguments and arguments[0] in getattr(parser, "commands", {}):
            parser = parser.commands[arguments.pop(0)]
        context = parser.context_class(parser)
        parser.make_parser(context).parse_args(arguments)


@pytest.mark.parametrize(("document", "command"), DOCUMENTED)
def test_a_documented_command_can_be_pasted(document: str, command: str) -> None:
    check(command)


def test_there_are_some_and_what_cannot_be_pasted_is_found() -> None:
    assert len(DOCUMENTED) > 80
    for wrong in ("--datas x", "...", "--threads"):
        with pytest.raises(Exception, match=r"(?i)no such option|not whole|requires an argument"):
            check(f"python -m trainer.probe random {wrong}")
    with pytest.raises(ImportError):
        check("python -m trainer.prob")
    text = 'Like so:\n\n    HEARD="--data a"\n    python -m trainer.probe $HEARD \\\n      --threads 1\n'
    assert commands(text) == ["python -m trainer.probe --data a        --threads 1"]
