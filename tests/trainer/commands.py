"""The lab's commands as a user runs them."""

import subprocess
import sys
from pathlib import Path


def run(module: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)
