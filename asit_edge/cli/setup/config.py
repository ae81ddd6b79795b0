"""`asit-edge config show|check|example`."""

import json
import os
import sys
from importlib import resources
from typing import Annotated

import typer

from asit_edge.cli.shared.examples import examples
from asit_edge.cli.shared.options import ConfigOption
from asit_edge.config.file import load_layers
from asit_edge.errors import WrongUse, readable

app = typer.Typer(
    help="The configuration that is in force.",
    no_args_is_help=True,
    epilog=examples("config"),
    rich_markup_mode=None,
)


@app.command(epilog=examples("config show"))
def show(
    config: ConfigOption = None,
    changed: Annotated[bool, typer.Option("--changed", help="Only what is not the default.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One key a line, as JSON.")] = False,
) -> None:
    """Show every key with its value and where that comes from; what is secret is not shown."""
    from asit_edge.config.effective import DEFAULT, effective

    loaded = load_layers(config, os.environ)
    wanted = [one for one in effective(loaded) if one.origin != DEFAULT or not changed]
    width = max((len(readable(f"{one.key}: {one.text}")) for one in wanted), default=0)
    for one in wanted:
        if as_json:
            print(json.dumps(one._asdict(), ensure_ascii=False))
        else:
            print(f"{readable(f'{one.key}: {one.text}'):<{min(width, 60)}}  {readable(one.origin)}")


@app.command(epilog=examples("config check"))
def check(config: ConfigOption = None) -> None:
    """Say whether the configuration can be used: keys, files, secrets, labels. Opens no connection."""
    from asit_edge.setup.check import problems

    loaded = load_layers(config, os.environ)
    where = str(loaded.file or "the defaults (there is no configuration file)")
    if loaded.overrides:
        where += f", with {len(loaded.overrides)} key(s) from the environment"
    found = list(problems(loaded.config))
    for one in found[:-1]:
        print(f"asit-edge: error: {readable(one)}", file=sys.stderr)
    if found:
        raise WrongUse(found[-1])
    print(f"{readable(where)}: can be used")


@app.command(epilog=examples("config example"))
def example() -> None:
    """Print the example, which has every key with its default and what it means."""
    print(resources.files("asit_edge.config").joinpath("config.yaml").read_text(encoding="utf-8"), end="")
