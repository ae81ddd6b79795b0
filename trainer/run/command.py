"""How the lab's commands start: user errors are one line on stderr and an exit code, like the device's."""

import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from asit_edge.errors import AsitEdgeError


def _use_threads(threads: int) -> int:
    if threads:
        import torch  # not for those who only ask for help

        torch.set_num_threads(threads)
    return threads


EXTRAS = {
    "onnx": "export",
    "onnxscript": "export",
    "torch": "train",
    "tqdm": "train",
    "sklearn": "train",
    "ray": "ray",
    "wandb": "wandb",
}
"""Packages that only some commands need, and the extra that brings them."""

Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0: all.", callback=_use_threads)]
"""Option of commands that compute; torch is told as it is read."""


def warn(lines: Iterable[str]) -> None:
    """What whoever runs a command should not miss, a line each on stderr."""
    for line in lines:
        print(f"warning: {line}", file=sys.stderr, flush=True)


def new_app(description: str | None = None) -> typer.Typer:
    """A Typer application in the house style."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, help=description)


def run(name: str, command: typer.Typer | Callable[..., Any]) -> None:
    """Runs an application, or a single function as one. Exit codes: 0 done, 1 failed, 2 asked for wrongly."""
    app = command if isinstance(command, typer.Typer) else new_app()
    if app is not command:
        app.command()(command)
    try:
        app()
    except AsitEdgeError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        extra = EXTRAS[error.name]
        print(
            f"{name}: error: the Python package {error.name} is missing: pip install 'asit-edge[{extra}]'",
            file=sys.stderr,
        )
        sys.exit(1)
