"""The lab's commands as a user runs them."""

import subprocess
import sys
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
