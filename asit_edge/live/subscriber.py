"""One who watches: what is told waits for him, bounded, and nobody waits if he is slow."""

import json
from collections import deque
from functools import cached_property
from typing import Any

MOST_KEPT, MOST_LIVE = 200, 100
"""Messages that wait: events and states, and what is worth nothing later (levels, scores, columns)."""


class Told:
    """One message, the same for all who watch: put into words once, by the first who sends it."""

    def __init__(self, kind: str, data: Any, *, live: bool = False) -> None:
        """`live`: worth nothing later."""
        self.kind, self.data, self.live = kind, data, live

    @cached_property
    def text(self) -> str:
        """JSON on one line, in ASCII."""
        return json.dumps(self.data, separators=(",", ":"))


class Subscriber:
    """Of a hub. Whoever is slow loses the oldest; that something else than live data was lost is said."""

    def __init__(self, columns: bool) -> None:
        """`columns`: the spectrogram is wanted too."""
        self.columns = columns
        self._kept: deque[Told] = deque(maxlen=MOST_KEPT)
        self._live: deque[Told] = deque(maxlen=MOST_LIVE)
        self._behind = False

    def tell(self, told: Told) -> None:
        """In the threads of the listening: returns at once."""
        if told.live:
            self._live.append(told)
            return
        self._behind = self._behind or len(self._kept) == MOST_KEPT
        self._kept.append(told)

    def take(self) -> list[Told]:
        """What was told since; first of all `behind`, if something of it was lost."""
        behind, self._behind = self._behind, False
        found = [Told("behind", {})] if behind else []
        for waiting in (self._kept, self._live):
            while waiting:
                found.append(waiting.popleft())
        return found
