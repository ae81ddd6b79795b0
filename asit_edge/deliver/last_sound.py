"""What each source has heard last, as its retained topic says it: over restarts, from the store."""

import contextlib
from collections.abc import Collection
from pathlib import Path

from asit_edge.errors import AsitEdgeError
from asit_edge.messages.event import Event
from asit_edge.mqtt.topics import Topics
from asit_edge.store.listing import Wanted, listing


class LastSounds:
    """Of one device."""

    def __init__(self, topics: Topics, sources: Collection[str], store: Path) -> None:
        self._topics, self._sources, self._store = topics, sources, store
        self._ids: dict[str, str] = {}

    def start(self) -> dict[str, str]:
        """By topic, what was heard before this run; nothing of sources that have heard nothing."""
        states = {}
        for source in self._sources:
            with contextlib.suppress(AsitEdgeError):  # no store, or it cannot be read now: nothing is known
                for listed in listing(self._store, Wanted(source=source, limit=1)):
                    self._ids[source] = listed.event.id
                    states[self._topics.last(source)] = listed.event.to_json()
        return states

    def heard(self, event: Event) -> dict[str, str]:
        """By topic, what is to be said because of a message: the newest sound as it began, and as it ended.

        What is told late was never the last.
        """
        if event.replayed:
            return {}
        if event.type == "new":
            self._ids[event.source] = event.id
        elif event.type == "update" or self._ids.get(event.source) != event.id:
            return {}
        return {self._topics.last(event.source): event.to_json()}
