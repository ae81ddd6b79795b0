"""Recordings of events, as files to play and as pictures of their sound."""

import base64
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from asit_edge.live.columns import BANDS
from asit_edge.live.pictures import drawn
from asit_edge.web.answers import Refused, answer
from asit_edge.web.parts import Aside, Parts

TYPES = {".flac": "audio/flac", ".opus": "audio/ogg", ".wav": "audio/wav"}

IDENTITY = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""Of an event: nothing else is looked for."""


class ClipRoutes:
    def __init__(self, parts: Parts, aside: Aside) -> None:
        self._parts, self._aside = parts, aside

    async def clip(self, request: Request) -> Response:
        """The file, or the part that a player asks for; with `?download` to be kept."""
        return self._file(await self._find(request), request)

    async def named(self, request: Request) -> Response:
        """The same by its path below the folder of clips, as messages give it after `clips.base_url`."""
        shelf = self._parts.shelf
        found = await self._aside.run(shelf.at, request.path_params["path"]) if shelf else None
        if found is None or found.suffix not in TYPES:
            raise Refused(404, "there is no such clip")
        return self._file(found, request)

    def _file(self, file: Path, request: Request) -> Response:
        kind = "attachment" if "download" in request.query_params else "inline"
        headers = {"cache-control": "private, max-age=86400"}
        return FileResponse(
            file, headers=headers, media_type=TYPES[file.suffix], filename=file.name, content_disposition_type=kind
        )

    async def picture(self, request: Request) -> Response:
        """The columns of its spectrogram."""
        return answer(await self._aside.run(_picture, await self._find(request)))

    async def _find(self, request: Request) -> Path:
        shelf, wanted = self._parts.shelf, request.path_params["id"]
        found = await self._aside.run(shelf.find, wanted) if shelf and IDENTITY.fullmatch(wanted) else None
        if found is None or found.suffix not in TYPES or not await self._aside.run(found.is_file):
            raise Refused(404, "there is no clip of this event")
        return found


def _picture(file: Path) -> dict[str, object]:
    columns, found = drawn(file)
    data = base64.b64encode(found.tobytes()).decode("ascii")
    return {"data": data, "bands": BANDS, "step": columns.hop / columns.rate, "highest": columns.highest}
