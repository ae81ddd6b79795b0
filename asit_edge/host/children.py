"""Child processes that do not outlive this one, not even when it is killed and they hang.

Linux tells a child that its parent has died (prctl(2), PR_SET_PDEATHSIG); `setpriv`, of util-linux, asks for that and
becomes the program. What the kernel takes for the parent is the thread that started the child, so that thread stays.
"""

import contextlib
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any


@cache
def dying_with_parent() -> list[str]:
    """What stands before a command so that it is killed when its parent dies; nothing where the system has no means."""
    program = shutil.which("setpriv")
    if program is None or not sys.platform.startswith("linux"):
        return []
    prefix = [program, "--pdeathsig", "KILL", "--"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if subprocess.run([*prefix, "true"], capture_output=True, timeout=5).returncode == 0:
            return prefix
    return []  # busybox has one that does not know this


def start(command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
    """`subprocess.Popen`, for a child that is of no use without us. Raises OSError if it cannot be started."""
    program = shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(2, os.strerror(2), command[0])
    outcome: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = queue.SimpleQueue()

    def keep() -> None:
        try:
            process = subprocess.Popen([*dying_with_parent(), program, *command[1:]], **options)
        except OSError as error:
            outcome.put(error)
            return
        outcome.put(process)
        with contextlib.suppress(ChildProcessError):  # somebody has waited for it already
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    threading.Thread(target=keep, name="child", daemon=True).start()
    found = outcome.get()
    if isinstance(found, OSError):
        raise found
    return found
