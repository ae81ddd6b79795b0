"""What is changed by hand: commands to the listening loop, and corrections of what was heard."""

import asyncio
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from asit_edge.errors import readable
from asit_edge.labels import Label
from asit_edge.mqtt.command_rate import TOO_MANY, Admission, CommandRate
from asit_edge.mqtt.commands import BadCommand, read_command
from asit_edge.mqtt.topics import label_slugs
from asit_edge.store.listing import find
from asit_edge.web.answers import Refused, answer, number_of, read_object, text_of
from asit_edge.web.parts import Aside, Parts

SHORTEST, LONGEST = 0.3, 30.0
"""Seconds of a sound that was missed."""

NOT_HERE = "this model cannot be corrected: it has no embeddings"


class CommandRoutes:
    def __init__(self, parts: Parts, aside: Aside) -> None:
        self._parts, self._aside = parts, aside
        self._rate = CommandRate()
        self._one_by_one = asyncio.Lock()

    async def command(self, request: Request) -> Response:
        """`{"command": "threshold", "label": "Dog", "value": 0.6}`: as over MQTT, and as checked."""
        values = await read_object(request)
        if self._rate.admit(time.monotonic()) is not Admission.OBEY:
            raise Refused(429, TOO_MANY, {"retry-after": "1"})
        hub, label = self._parts.hub, values.get("label")
        known = hub.names()
        slugs = label_slugs([Label(name=name, id=identity) for identity, name in known.items()])
        name = text_of(values, "command", 100)
        if label is not None:
            wanted = text_of(values, "label")
            identity = next((one for one, called in known.items() if called == wanted), None)
            if identity is None:
                raise Refused(400, f"no label {readable(wanted)!r} is reported")
            name = f"{name}/{slugs[identity]}"
        names = {slugs[identity]: called for identity, called in known.items()}
        try:
            payload = _payload(values.get("value"))
            command = read_command(request.path_params["source"], name, payload, hub.sources, names)
        except BadCommand as bad:
            raise Refused(400, readable(bad)) from None
        self._parts.commands.put(command)
        return answer({"accepted": command._asdict()}, 202)

    async def wrong(self, request: Request) -> Response:
        """The event was not what it was called."""
        await read_object(request)
        event = await self._aside.run(find, self._parts.store, request.path_params["id"])
        if event is None:
            raise Refused(404, "there is no such event in the store")
        begin = event.onset_epoch
        end = begin + max(event.duration or 0.0, SHORTEST)
        return await self._amend(event.label, "wrong", f"event {event.id}", begin, end, event.source)

    async def missed(self, request: Request) -> Response:
        """A sound was there, and nothing was reported."""
        values = await read_object(request)
        begin = number_of(values, "at", 0, time.time())
        seconds = number_of({"seconds": 2.0, **values}, "seconds", SHORTEST, LONGEST)
        source = text_of(values, "source") if values.get("source") is not None else None
        return await self._amend(
            text_of(values, "label"), "missed", "missed, told on the page", begin, begin + seconds, source
        )

    async def _amend(self, label: str, kind: str, what: str, begin: float, end: float, source: str | None) -> Response:
        if self._parts.amend is None:
            raise Refused(409, NOT_HERE)
        async with self._one_by_one:
            said = await self._aside.run(self._parts.amend, label, kind, what, begin, end, source)
        return answer({"said": readable(said)})


def _payload(value: Any) -> bytes:
    """As it would come over MQTT."""
    if isinstance(value, bool):
        return b"ON" if value else b"OFF"
    return str(value if isinstance(value, int | float | str) else "").encode("utf-8", "replace")
