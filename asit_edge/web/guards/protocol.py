"""HTTP connections that cannot be held open for nothing: of uvicorn, with a time for what they have to do."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 64
"""At once; a new one takes the place of the one that has been waited for longest."""

REQUEST_SECONDS = 10.0
"""For a whole request, its body too."""

STUCK_SECONDS = 20.0
"""For which an answer may wait for a client that does not read."""


class GuardedProtocol(H11Protocol):
    """Hangs up where a request takes too long to come, or nobody reads the answer."""

    _waits: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None
    _idle_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._await_request()
        ours = [one for one in self.connections if isinstance(one, GuardedProtocol) and not one.transport.is_closing()]
        if len(ours) > MOST_CONNECTIONS:
            idle = (one for one in ours if not one._answering)
            min(idle, key=lambda one: one._idle_since, default=self).hang_up()

    def data_received(self, data: bytes) -> None:
        if self._waits is None and not self._answering:
            self._await_request()  # the next one on this connection
        super().data_received(data)
        if self._answering:
            self._request_is_here()

    def on_response_complete(self) -> None:
        self._request_is_here()
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reads_again()
        self._stuck = self.loop.call_later(STUCK_SECONDS, self.hang_up)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reads_again()

    def connection_lost(self, exc: Exception | None) -> None:
        self._request_is_here()
        self._reads_again()
        super().connection_lost(exc)

    def hang_up(self) -> None:
        self.transport.abort()

    @property
    def _answering(self) -> bool:
        """The whole request is there, and its answer is on its way."""
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete and not cycle.more_body

    def _await_request(self) -> None:
        self._waits = self.loop.call_later(REQUEST_SECONDS, self.hang_up)

    def _request_is_here(self) -> None:
        if self._waits is not None:
            self._waits.cancel()
            self._waits = None

    def _reads_again(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
