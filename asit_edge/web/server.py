"""The server, in a thread of its own: nothing that happens to it is felt by the listening."""

import asyncio
import ipaddress
import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uvicorn

log = logging.getLogger(__name__)

AGAIN = 5.0
"""Seconds between attempts at a port that is taken."""

PATIENCE = 2.0
"""Seconds for which the first sound is waited for: listening comes before looking."""

IDLE_SECONDS = 15
"""For which a connection is kept for the next request."""


class Server:
    """Serves what `make` makes, once it is there; `tell` learns what is wrong ("" where nothing is)."""

    def __init__(
        self, host: str, port: int, make: Callable[[], "Served"], begun: threading.Event, tell: Callable[[str], None]
    ) -> None:
        self._host, self._port, self._make, self._begun, self._tell = host, port, make, begun, tell
        self._stopping = threading.Event()
        self._end: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> None:
        self._stopping.set()
        self._end()
        self._thread.join(timeout=seconds)

    def _run(self) -> None:
        try:
            self._begun.wait(PATIENCE)
            opened = self._bind()
            if opened is not None:
                with opened:
                    self._serve(opened)
        except Exception:
            log.exception("the page has ended; listening goes on")
            self._tell("the page has ended; the log says why")

    def _bind(self) -> socket.socket | None:
        """The port, as soon as it can be had; None where it is time to stop before."""
        told = False
        while not self._stopping.is_set():
            family = socket.AF_INET6 if ipaddress.ip_address(self._host).version == 6 else socket.AF_INET
            try:
                found = socket.create_server((self._host, self._port), family=family, backlog=64)
            except OSError as error:
                if not told:
                    words = f"the page: {self._host} port {self._port} cannot be had ({os.strerror(error.errno or 0)})"
                    log.warning("%s; listening goes on. Name another one with `web: {port: %d}`", words, self._port + 1)
                    self._tell(words)
                told = True
                self._stopping.wait(AGAIN)
            else:
                if told:
                    self._tell("")
                return found
        return None

    def _serve(self, opened: socket.socket) -> None:
        import uvicorn

        from asit_edge.web.guards.gate import MOST_HEADER
        from asit_edge.web.guards.protocol import GuardedProtocol

        served = self._make()
        config = uvicorn.Config(
            served.app,  # type: ignore[arg-type]
            http=GuardedProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=MOST_HEADER,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)

        def end() -> None:
            served.close()
            server.should_exit = True

        self._end = end
        if self._stopping.is_set():
            return
        host, port = opened.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        log.info("the page: http://%s:%d", shown, port)
        asyncio.run(_served(server, opened))


async def _served(server: "uvicorn.Server", opened: socket.socket) -> None:
    from anyio.to_thread import current_default_thread_limiter

    from asit_edge.web.parts import AT_ONCE

    current_default_thread_limiter().total_tokens = AT_ONCE  # for files that are sent
    await server.serve(sockets=[opened])


class Served:
    """An application, and how those who watch it are let go."""

    def __init__(self, app: object, close: Callable[[], None]) -> None:
        self.app, self.close = app, close
