"""The lab's commands that documents print are whole, and every option and setting in them exists."""

import itertools
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
import typer

from bench.lab import parity, scaling
from tests.conftest import ROOT
from trainer import curves, finetune, prepare, pretrain, probe
from trainer.asit.config import make_config
from trainer.finetuning.config import with_settings
from trainer.finetuning.recipes import RECIPES
from trainer.run.settings import parse_settings

COMMANDS: dict[str, Callable[..., Any]] = {
    "trainer.pretrain": pretrain.main,
    "trainer.prepare": prepare.prepare,
    "trainer.probe": probe.main,
    "trainer.curves": curves.main,
    "trainer.finetune": finetune.main,
    "bench.lab.scaling": scaling.main,
    "bench.lab.parity": parity.main,
}
PLACES = {"training": ("",), "results": ("## Pre-training", "## With and without pre-training")}
"""Documents, and from which headings to the next of their kind; "" is all."""


def printed(document: str) -> list[list[str]]:
    """Every command of those, as words."""
    text = (ROOT / "docs" / f"{document}.md").read_text(encoding="utf-8")
    parts = []
    for heading in PLACES[document]:
        start = text.index(f"\n{heading}\n") if heading else 0
        end = text.find("\n## ", start + 5) if heading else len(text)
        parts.append(text[start : end if end > 0 else len(text)])
    whole = "\n".join(parts).replace("\\\n", " ")
    spans = [*re.findall(r"`([^`]*)`", re.sub("```.*?```", "", whole, flags=re.DOTALL)), *whole.splitlines()]
    lines = [one for one in spans if re.search(r"-m (?:trainer|bench)\.", one) and "`" not in one]
    names = "|".join(map(re.escape, COMMANDS))
    found = [re.search(rf"-m ({names})\b(.*)", line, flags=re.DOTALL) for line in lines]
    return [[one[1], *shlex.split(one[2], comments=True)] for one in found if one]


@pytest.mark.parametrize("document", PLACES)
def test_printed_commands_are_whole_and_their_options_exist(document: str) -> None:
    commands = printed(document)
    assert len(commands) > 8
    for name, *words in commands:
        assert "..." not in words, (name, words)
        app = typer.Typer(add_completion=False)
        app.command()(COMMANDS[name])
        command = typer.main.get_command(app)
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert options <= known, (name, options - known)
        settings = parse_settings(value for flag, value in itertools.pairwise(words) if flag == "--set")
        if name in ("trainer.pretrain", "bench.lab.scaling"):
            make_config("2024", None, {"data": ["-"], **settings})
        elif name == "trainer.finetune" and settings:
            with_settings(RECIPES[words[0]], settings)
