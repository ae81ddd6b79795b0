"""The lab's commands that documents print are whole, and every option and setting in them exists."""

import itertools
import re
import runpy
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import typer

from tests.conftest import ROOT
from trainer.asit.config import make_config
from trainer.finetuning.config import with_settings
from trainer.finetuning.recipes import RECIPES
from trainer.run import command as lab
from trainer.run.settings import parse_settings

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

STARTED = r"\s*(?:[A-Z_]+=\S+ |srun )*(?:\S*/)?(?:python|torchrun)\b(?:.*?) -m "
COMMAND = re.compile(STARTED + r"((?:trainer|export|bench\.lab|bench\.teach)(?:\.\w+)*)\b(.*)")


def printed(text: str) -> Iterator[list[str]]:
    """Every command of a document, as words: the module first. What its lines set as variables is put in."""
    whole = text.replace("\\\n", " ")
    spans = re.findall(r"`([^`\n]*)`", re.sub("```.*?```", "", whole, flags=re.DOTALL))
    variables: dict[str, str] = {}
    for line in [*whole.splitlines(), *spans]:
        if given := re.fullmatch(r'\s*(\w+)="([^"]*)"', line):
            variables[given[1]] = given[2]
        elif "`" not in line and (found := COMMAND.match(line)):
            words = re.sub(r"\$(\w+)", lambda one: variables.get(one[1], one[0]), found[2])
            yield [found[1], *shlex.split(words, comments=True)]


@cache
def parser_of(module: str) -> Any:
    """What the module runs, as it runs it."""
    with mock.patch.object(lab, "run") as started, mock.patch.object(typer, "run") as plain:
        runpy.run_module(module, run_name="__main__")
    command = (started.call_args or plain.call_args).args[-1]
    app = command if isinstance(command, typer.Typer) else lab.new_app()
    if app is not command:
        app.command()(command)
    return typer.main.get_command(app)


def check(module: str, *words: str) -> None:
    """Raises AssertionError where it is not whole, and what its parser and its settings raise."""
    assert "..." not in words, (module, words)
    parser, arguments = parser_of(module), list(words)
    while arguments and arguments[0] in getattr(parser, "commands", {}):
        parser = parser.commands[arguments.pop(0)]
    parser.make_parser(parser.context_class(parser)).parse_args(arguments)
    settings = parse_settings(value for flag, value in itertools.pairwise(words) if flag == "--set")
    if module in ("trainer.pretrain", "bench.lab.scaling"):
        make_config("2024", None, {"data": ["-"], **settings})
    elif module == "trainer.finetune" and settings:
        with_settings(RECIPES[words[0]], settings)


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize(
    "document", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda one: one.stem
)
def test_printed_commands_are_whole_and_their_options_exist(document: Path) -> None:
    for command in printed(document.read_text(encoding="utf-8")):
        check(*command)


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_there_are_some_and_what_cannot_be_pasted_is_found() -> None:
    assert sum(1 for document in DOCUMENTS for _ in printed(document.read_text(encoding="utf-8"))) > 120
    for wrong in ("--datas x", "...", "--threads"):
        with pytest.raises(Exception, match=r"(?i)no such option|\.\.\.|requires an argument"):
            check("trainer.probe", "random", *wrong.split())
    with pytest.raises(ImportError):
        check("trainer.prob")
    text = 'Like so:\n\n    HEARD="--data a"\n    python -m trainer.probe $HEARD \\\n      --threads 1\n'
    assert list(printed(text)) == [["trainer.probe", "--data", "a", "--threads", "1"]]
