"""What was heard, out of the store: a list, its download, and how often each label."""

import asyncio
import csv
import io
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from asit_edge.store.listing import MOST, Listed, Wanted, listing
from asit_edge.store.tally import SLOT, Tally
from asit_edge.web.answers import Refused, answer, asked_number
from asit_edge.web.parts import Aside, Parts

MOST_DOWNLOADED = 20_000
"""Events of one download."""

FAR = 1e11
"""Seconds since the epoch; beyond it nothing is stored."""

COLUMNS = ("onset", "label", "source", "score", "peak", "duration", "offset", "type", "id", "clip")


class EventRoutes:
    def __init__(self, parts: Parts, aside: Aside) -> None:
        self._parts, self._aside = parts, aside
        self._tally = Tally(parts.store)

    async def events(self, request: Request) -> Response:
        found = await self._aside.run(listing, self._parts.store, wanted(request))
        return answer({"events": [_told(one) for one in found], "next": found[-1].number if found else None})

    async def history(self, request: Request) -> Response:
        days = asked_number(request, "days", 1, 7) or 1.0
        now = time.time()
        counts = await self._aside.run(self._tally.counts, now - days * 86_400, now)
        rows = [[label, slot, count] for (label, slot), count in sorted(counts.items())]
        return answer({"slot": SLOT, "now": now, "counts": rows})

    async def download(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in ("csv", "json"):
            raise Refused(404, "events are there as csv and as json")
        first = await self._aside.run(listing, self._parts.store, replace(wanted(request), limit=MOST))
        parts = self._parts_of(wanted(request), first)
        words = _csv(parts) if kind == "csv" else _lines(parts)
        media = "text/csv; charset=utf-8" if kind == "csv" else "application/x-ndjson"
        name = f"events.{'csv' if kind == 'csv' else 'jsonl'}"
        headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
        return StreamingResponse(words, headers=headers, media_type=media)

    async def _parts_of(self, wish: Wanted, page: list[Listed]) -> AsyncIterator[list[Listed]]:
        left = MOST_DOWNLOADED
        while page and left > 0:
            yield page[:left]
            left -= len(page)
            following = replace(wish, before=page[-1].number, limit=MOST)
            page = await self._aside.run(listing, self._parts.store, following)
            await asyncio.sleep(0)  # others get their turn


def wanted(request: Request) -> Wanted:
    """What the query of a request asks for. Raises Refused."""
    before = asked_number(request, "before", 0, 2**62)
    limit = asked_number(request, "limit", 1, MOST)
    return Wanted(
        since=asked_number(request, "since", 0, FAR),
        until=asked_number(request, "until", 0, FAR),
        label=request.query_params.get("label") or None,
        source=request.query_params.get("source") or None,
        before=int(before) if before is not None else None,
        limit=int(limit) if limit is not None else 50,
    )


def _told(one: Listed) -> dict[str, Any]:
    return {**one.event.model_dump(mode="json", by_alias=True), "number": one.number}


async def _csv(parts: AsyncIterator[list[Listed]]) -> AsyncIterator[str]:
    yield ",".join(COLUMNS) + "\r\n"
    async for part in parts:
        out = io.StringIO()
        writer = csv.writer(out)
        for one in part:
            values = one.event.model_dump(mode="json")
            writer.writerow([_cell(values[column]) for column in COLUMNS])
        yield out.getvalue()


async def _lines(parts: AsyncIterator[list[Listed]]) -> AsyncIterator[str]:
    async for part in parts:
        yield "".join(json.dumps(one.event.model_dump(mode="json", by_alias=True)) + "\n" for one in part)


def _cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula is a text all the same."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
