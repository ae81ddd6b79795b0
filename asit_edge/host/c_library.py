"""What libraries written in C say on standard error by themselves: nothing, where they are asked to be quiet."""

import ctypes
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_lock = threading.Lock()
_quiet = 0
_kept: int | None = None
_nowhere: int | None = None


@cache
def _stream() -> "ctypes.c_void_p | None":
    """The C library's variable that holds standard error; None where it must not be assigned to."""
    if sys.platform == "darwin":
        return ctypes.c_void_p.in_dll(ctypes.CDLL(None), "__stderrp")
    if sys.platform.startswith("linux") and platform.libc_ver()[0] == "glibc":
        return ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")
    return None


@contextmanager
def c_stderr_discarded() -> Iterator[None]:
    """C libraries write their standard error to nowhere. May be nested, and used by several threads at a time.

    The C library's own stream is exchanged, not file descriptor 2: what Python writes, and what child processes
    inherit, is not touched.
    """
    global _quiet, _kept, _nowhere
    stream = _stream()
    if stream is None:
        yield
        return
    with _lock:
        if _nowhere is None:
            opening = ctypes.CDLL(None).fopen
            opening.restype = ctypes.c_void_p
            _nowhere = opening(os.devnull.encode(), b"w")
        if _quiet == 0 and _nowhere:
            _kept, stream.value = stream.value, _nowhere
        _quiet += 1
    try:
        yield
    finally:
        with _lock:
            _quiet -= 1
            if _quiet == 0 and _kept is not None:
                stream.value, _kept = _kept, None
