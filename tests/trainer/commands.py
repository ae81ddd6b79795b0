"""The lab's commands as a user runs them."""

import multiprocessing
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from trainer.run import command


def run(module: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """In a process of its own."""
    line = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300)


def call(name: str, main: Callable[..., Any], *arguments: str | Path) -> int:
    """In this process, where loading torch once more would be most of the time; returns the exit code."""
    with mock.patch.object(sys, "argv", [name, *map(str, arguments)]), pytest.raises(SystemExit) as left:
        command.run(name, main)
    return int(left.value.code or 0)


class Forked:
    """A command in a process of its own that has loaded what this one has, so that it begins at once.

    It is really killed, has its own environment and speaks to a file; `wait` gives its exit code and what it said on
    stderr.
    """

    def __init__(
        self,
        said: Path,
        name: str,
        main: Callable[..., Any],
        *arguments: str | Path,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._said = said
        self.process = multiprocessing.get_context("fork").Process(
            target=self._run, args=(name, main, [str(one) for one in arguments], environment or {})
        )
        self.process.start()

    def _run(self, name: str, main: Callable[..., Any], arguments: list[str], environment: dict[str, str]) -> None:
        os.environ.update(environment)
        with self._said.open("w") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
            sys.stdout = sys.stderr = out
            sys.argv = [name, *arguments]
            code = 0
            try:
                command.run(name, main)
            except SystemExit as left:
                code = int(left.code or 0)
            except BaseException:  # as the interpreter would, which this process never comes back to
                traceback.print_exc()
                code = 1
            out.flush()
            os._exit(code)

    def wait(self, seconds: float = 120) -> tuple[int, str]:
        self.process.join(seconds)
        assert self.process.exitcode is not None, self._said.read_text()
        return self.process.exitcode, self._said.read_text()
