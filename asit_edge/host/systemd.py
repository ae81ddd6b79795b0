"""systemd's readiness and watchdog protocol: datagrams to the socket in NOTIFY_SOCKET. Without one, nothing happens.

The watchdog is fed only while samples flow and decisions come, so that a listener that hangs in whatever part is
started again. See sd_notify(3).
"""

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class Systemd:
    """Notifications to the service manager."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # abstract
            self._address = "\0" + self._address[1:]
        own = environment.get("WATCHDOG_PID") in (None, str(os.getpid()))
        microseconds = environment.get("WATCHDOG_USEC", "")
        self._interval = int(microseconds) / 2e6 if own and microseconds.isdecimal() else 0.0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if self._address else None
        self._fed_at = float("-inf")
        self._progress: dict[str, int] = {}
        self._status = ""

    def ready(self) -> None:
        """The model is loaded and sources are being opened. Whether they are there yet is another matter."""
        self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def watch(self, progress: Mapping[str, int], status: str) -> None:
        """Call often. `progress` has a number for every source from which audio comes, growing with its decisions.

        The watchdog starves when there is none, and when one of them stands still.
        """
        if self._socket is None:
            return
        if status != self._status:
            self._status = status
            self._send(f"STATUS={status}")
        now = time.monotonic()
        if not self._interval or now - self._fed_at < self._interval / 2:
            return
        if progress and all(self._progress.get(name) != number for name, number in progress.items()):
            self._fed_at, self._progress = now, dict(progress)
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if self._socket is None:
            return
        with contextlib.suppress(OSError):  # no service manager listens: no reason to stop listening
            self._socket.sendto(message.encode(), self._address)
