"""The files of the page, read once: what a request names is looked up among them, and reaches no file system."""

import hashlib
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from asit_edge.web.answers import Refused

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}


class Assets:
    """What lies in `static` beside this module."""

    def __init__(self) -> None:
        self._files = {
            one.name: (one.read_bytes(), TYPES[one.name.rpartition(".")[2]])
            for one in files("asit_edge.web").joinpath("static").iterdir()
            if one.name.rpartition(".")[2] in TYPES
        }

    async def page(self, request: Request) -> Response:
        return self._give(request, "index.html")

    async def file(self, request: Request) -> Response:
        return self._give(request, request.path_params["name"])

    def _give(self, request: Request, name: str) -> Response:
        if name not in self._files:
            raise Refused(404, "there is nothing here")
        content, kind = self._files[name]
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {"etag": tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=kind)
