"""What happens, as it happens: Server-Sent Events."""

import asyncio
import time
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from asit_edge.web.answers import Refused
from asit_edge.web.parts import Parts

MOST_STREAMS = 16
"""Pages that watch at once."""

LOOK = 0.1
"""Seconds between looks at what was told: no event is later than that."""

SIGN_OF_LIFE = 5.0
"""Seconds after which something is said though nothing has happened."""


THERE = 1.0
"""Seconds between looks whether the other side is still there, and may be."""


class Live:
    def __init__(self, parts: Parts) -> None:
        self._hub = parts.hub
        self._streams = 0
        self.closing = False
        """Set when the server ends: pages are let go."""

    def close(self) -> None:
        """From any thread."""
        self.closing = True

    async def live(self, request: Request) -> Response:
        """`?columns=0`: without the spectrogram."""
        if self._streams >= MOST_STREAMS:
            raise Refused(503, f"{MOST_STREAMS} pages watch already; close one", {"retry-after": "10"})
        words = self._words(request, request.query_params.get("columns") != "0")
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(words, headers=headers, media_type="text/event-stream")

    async def _words(self, request: Request, columns: bool) -> AsyncIterator[str]:
        if self._streams >= MOST_STREAMS:  # several were let in at once
            return
        self._streams += 1
        subscriber = self._hub.subscribe(columns)
        try:
            yield "retry: 2000\n\n"
            said = asked = time.monotonic()
            while not self.closing:
                if time.monotonic() - asked > THERE:
                    asked = time.monotonic()
                    if await request.is_disconnected() or not request.scope["asit_edge.stays"]():
                        return
                told = subscriber.take()
                if told:
                    said = time.monotonic()
                    yield "".join(f"event: {one.kind}\ndata: {one.text}\n\n" for one in told)
                elif time.monotonic() - said > SIGN_OF_LIFE:
                    said = time.monotonic()
                    yield "event: alive\ndata: {}\n\n"
                await asyncio.sleep(LOOK)
        finally:
            self._hub.leave(subscriber)
            self._streams -= 1
