"""C libraries that write on standard error."""

import subprocess
import sys
import threading

import pytest

from asit_edge.host.c_library import c_stderr_discarded

SAY = """
import ctypes, sys, subprocess
from asit_edge.host.c_library import c_stderr_discarded
libc = ctypes.CDLL(None)
with c_stderr_discarded():
    with c_stderr_discarded():
        libc.perror(b"inner")
    libc.perror(b"outer")
    print("python", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-c", "import os; os.write(2, b'child')"])
libc.perror(b"after")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of the C library of Linux")
def test_only_c_libraries_are_quiet_and_only_meanwhile() -> None:
    done = subprocess.run([sys.executable, "-c", SAY], capture_output=True, text=True, check=True)
    for word in ("python", "child", "after"):
        assert word in done.stderr
    for word in ("inner", "outer"):
        assert word not in done.stderr


def test_several_threads_may_ask_for_it(capfd: pytest.CaptureFixture[str]) -> None:
    def ask() -> None:
        for _ in range(500):
            with c_stderr_discarded():
                pass

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    program = "import ctypes; ctypes.CDLL(None).perror(b'x')"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).stderr
    assert capfd.readouterr().err == ""
