"""A scope of systemd's for a child: a control group of its own, with a limit of its own.

Whatever is ended in it where memory runs out, by the kernel or by systemd-oomd, is the child and not who started it.
Only a user's manager makes scopes for whoever asks; a service of the system has a unit beside it
(`asit_edge.host.delegated`).
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence


def in_own_scope(command: Sequence[str], memory: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The command, to be run in a scope that may use so much memory (`80%`, `4G`), where the user's manager makes one;
    the command as it is where it does not.
    """
    program = shutil.which("systemd-run", path=environment.get("PATH"))
    if program is None or not environment.get("XDG_RUNTIME_DIR"):
        return list(command)
    prefix = [program, "--user", "--scope", "--quiet", "--collect", f"--property=MemoryMax={memory}", "--"]
    try:
        tried = subprocess.run([*prefix, "true"], capture_output=True, timeout=10, env=dict(environment), check=False)
    except (OSError, subprocess.SubprocessError):
        return list(command)
    return [*prefix, *command] if tried.returncode == 0 else list(command)
