"""`asit-edge doctor`."""

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asit_edge.cli.shared.options import ConfigOption
from asit_edge.config.file import SYSTEM_CONFIG, load_config
from asit_edge.config.root import Config
from asit_edge.errors import WrongUse, readable
from asit_edge.host.c_library import c_stderr_discarded

if TYPE_CHECKING:
    from asit_edge.doctor.finding import Finding

COUNTED = {"wrong": "wrong", "warning": "to look at", "ok": "as it should be"}


def doctor(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One finding a line, as JSON.")] = False,
) -> None:
    """Look for what is wrong: configuration, clock, disk, model, sources and their level, broker, service, page.

    Says what each finding means and what to type. Exit code 0 if nothing is wrong, else 1. A listener that runs is not
    disturbed: nothing is changed, nothing is left at the broker.
    """
    log = logging.getLogger("asit_edge")
    if not log.isEnabledFor(logging.DEBUG):
        log.setLevel(logging.CRITICAL)  # what is worth knowing is found, and said once
    grades: Counter[str] = Counter()
    with c_stderr_discarded():  # what sound systems say by themselves
        if as_json:
            for finding in _findings(config):
                grades[finding.grade] += 1
                print(finding.to_json(), flush=True)
        elif sys.stdout and sys.stdout.isatty():
            grades = _shown_in_colour(config)
        else:
            for finding in _findings(config):
                grades[finding.grade] += 1
                print("\n".join(plain(finding)), flush=True)
    if not as_json:
        print(", ".join(f"{grades[grade]} {words}" for grade, words in COUNTED.items() if grades[grade]))
    if grades["wrong"]:
        raise typer.Exit(1)


def plain(finding: "Finding") -> list[str]:
    """Lines for a file, a pipe, or whoever reads without colours."""
    lines = [f"{finding.grade:<8} {readable(finding.check)}: {readable(finding.found)}"]
    lines += [f"         means: {readable(finding.means)}"] if finding.means else []
    return lines + ([f"         do: {readable(finding.remedy)}"] if finding.remedy else [])


def _shown_in_colour(config: Path | None) -> Counter[str]:
    from rich.console import Console
    from rich.text import Text

    marks = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "wrong": ("✗", "bold red")}
    console = Console(highlight=False)
    grades: Counter[str] = Counter()
    with console.status("looking") as status:
        for finding in _findings(config, lambda name: status.update(Text(f"looking at {readable(name)}"))):
            grades[finding.grade] += 1
            mark, colour = marks[finding.grade]
            line = Text.assemble((mark, colour), " ", (readable(finding.check), "bold"), "  ", readable(finding.found))
            console.print(line, soft_wrap=True)
            if finding.means:
                console.print(Text(f"    {readable(finding.means)}", style="dim"), soft_wrap=True)
            if finding.remedy:
                console.print(Text.assemble("    ", (readable(finding.remedy), "cyan")), soft_wrap=True)
    return grades


def _findings(config: Path | None, begins: Callable[[str], object] = lambda name: None) -> "Iterator[Finding]":
    """Of all checks; of the machine's alone where the configuration cannot be read."""
    from asit_edge.doctor.checks.every import OF_THE_MACHINE, checks
    from asit_edge.doctor.examination import examine
    from asit_edge.doctor.finding import Finding
    from asit_edge.doctor.patient import Patient

    file = config or (SYSTEM_CONFIG if SYSTEM_CONFIG.is_file() else None)
    try:
        patient = Patient(load_config(config), file)
    except WrongUse as error:
        means = "asit-edge listen does not start, and what depends on the configuration is not looked at"
        yield Finding("configuration", "wrong", str(error), means, "asit-edge schema config    # has every key")
        yield from examine(Patient(Config()), OF_THE_MACHINE, begins)
        return
    yield from examine(patient, checks(patient), begins)
