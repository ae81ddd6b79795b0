"""Keeps the process small: asks glibc's allocator to give freed memory back instead of holding it for later.

Loading a model frees about 10 MB that glibc would otherwise keep in per-thread arenas for the life of a listener.
On other C libraries nothing happens.
"""

import ctypes
import sys

# malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX
_SETTINGS = {-1: 128 * 1024, -3: 64 * 1024, -8: 1}


def return_freed_memory() -> None:
    """Call before threads start and models load."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for setting, value in _SETTINGS.items():
            mallopt(setting, value)
