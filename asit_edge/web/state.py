"""How it is now: all that the page shows when it opens, and how well the listener is."""

import platform
import time
from typing import Any

import onnxruntime
from starlette.requests import Request
from starlette.responses import Response

from asit_edge import __version__
from asit_edge.errors import AsitEdgeError, readable
from asit_edge.store.listing import waiting
from asit_edge.web.answers import Refused, answer
from asit_edge.web.parts import Aside, Parts

WELL = ("listening", "muted", "stopped")
"""States of a source in which nothing is wrong."""


def versions() -> dict[str, str]:
    """What runs here."""
    return {"asit_edge": __version__, "python": platform.python_version(), "onnxruntime": onnxruntime.__version__}


class StateRoutes:
    def __init__(self, parts: Parts, aside: Aside) -> None:
        self._parts, self._aside = parts, aside

    async def state(self, _: Request) -> Response:
        parts = self._parts
        can = {"correct": parts.amend is not None, "clips": parts.shelf is not None, "leave": parts.access.needed}
        delivery = parts.delivery()
        health = {"problem": readable(delivery.problem), "dropped": delivery.dropped, "refused": delivery.refused}
        told = {"now": time.time(), "can": can, "about": parts.about, "delivery": health}
        return answer({**parts.hub.picture(), **told, "waiting": await self._aside.run(self._waiting)})

    async def labels(self, _: Request) -> Response:
        return answer({"labels": self._parts.hub.labels()})

    async def healthz(self, request: Request) -> Response:
        """Well or not for everybody; why only for whoever may look."""
        well, details = self._parts.health() if self._parts.health else self._health()
        told = {"ok": well, **(details if request.scope.get("asit_edge.admitted") is True else {})}
        return answer(told, 200 if well else 503)

    async def metrics(self, _: Request) -> Response:
        if self._parts.exposition is None:
            raise Refused(404, "there are no metrics here")
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return Response(await self._aside.run(self._parts.exposition), media_type=kind)

    def _health(self) -> tuple[bool, dict[str, Any]]:
        states, trouble = self._parts.hub.states, self._parts.delivery().problem
        well = not trouble and bool(states) and all(state in WELL for state in states.values())
        return well, {"sources": states, "problem": readable(trouble)}

    def _waiting(self) -> dict[str, int]:
        try:
            return waiting(self._parts.store)
        except AsitEdgeError:  # what is wrong with the store is said as trouble
            return {}
