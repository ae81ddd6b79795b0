"""The page's paths, behind the gate."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from asit_edge.web.answers import Refused, answer, read_object, refused, text_of
from asit_edge.web.assets import Assets
from asit_edge.web.clips import ClipRoutes
from asit_edge.web.commands import CommandRoutes
from asit_edge.web.events import EventRoutes
from asit_edge.web.guards.access import LASTING, TooManyGuesses
from asit_edge.web.guards.gate import Gate
from asit_edge.web.parts import Aside, Parts
from asit_edge.web.state import StateRoutes
from asit_edge.web.stream import Live


def make_app(parts: Parts, live: Live | None = None) -> ASGIApp:
    """All of it."""
    aside, assets = Aside(), Assets()
    state, events = StateRoutes(parts, aside), EventRoutes(parts, aside)
    commands, clips = CommandRoutes(parts, aside), ClipRoutes(parts, aside)
    session = SessionRoutes(parts)
    routes = [
        Route("/", assets.page),
        Route("/static/{name}", assets.file),
        Route("/healthz", state.healthz),
        Route("/metrics", state.metrics),
        Route("/api/session", session.show, methods=["GET"]),
        Route("/api/session", session.begin, methods=["POST"]),
        Route("/api/session", session.end, methods=["DELETE"]),
        Route("/api/state", state.state),
        Route("/api/labels", state.labels),
        Route("/api/live", (live or Live(parts)).live),
        Route("/api/events", events.events),
        Route("/api/events.{kind}", events.download),
        Route("/api/history", events.history),
        Route("/api/sources/{source}/commands", commands.command, methods=["POST"]),
        Route("/api/events/{id}/wrong", commands.wrong, methods=["POST"]),
        Route("/api/events/{id}/spectrogram", clips.picture),
        Route("/api/missed", commands.missed, methods=["POST"]),
        Route("/clips/{id}", clips.clip),
        Route("/clips/{path:path}", clips.named),
    ]
    app = Starlette(routes=routes, exception_handlers={Refused: refused, 404: _nothing, 405: _not_so})
    app.router.redirect_slashes = False
    return Gate(app, parts.hosts, parts.access, parts.cookie, parts.ingress)


async def _nothing(_: Request, __: Exception) -> Response:
    return answer({"error": "there is nothing here"}, 404)


async def _not_so(_: Request, __: Exception) -> Response:
    return answer({"error": "this cannot be done here"}, 405)


class SessionRoutes:
    """Shows the token once; what the browser keeps is another secret, which no script can read."""

    def __init__(self, parts: Parts) -> None:
        self._access, self._cookie = parts.access, parts.cookie

    async def show(self, request: Request) -> Response:
        admitted = request.scope.get("asit_edge.admitted") is True
        return answer({"needed": self._access.needed, "admitted": admitted})

    async def begin(self, request: Request) -> Response:
        token = text_of(await read_object(request), "token", 4_000)
        try:
            session = self._access.begin(token.strip(), request.client.host if request.client else "")
        except TooManyGuesses as wait:
            seconds = max(round(wait.seconds), 1)
            words = f"too many wrong tokens; try again in {seconds} s"
            raise Refused(429, words, {"retry-after": str(seconds)}) from None
        if session is None:
            raise Refused(403, "this is not the token; it stands in the file that web.token_file names")
        response = answer({"admitted": True})
        secure = request.headers.get("origin", "").startswith("https://")
        response.set_cookie(
            self._cookie, session, max_age=int(LASTING), httponly=True, samesite="strict", secure=secure
        )
        return response

    async def end(self, request: Request) -> Response:
        self._access.end(request.cookies.get(self._cookie, ""))
        response = answer({"admitted": False})
        response.delete_cookie(self._cookie, httponly=True, samesite="strict")
        return response
