"""How often the model decides while it cannot keep up. Pure: time comes in as seconds of the steady clock."""

import logging

log = logging.getLogger(__name__)

BEHIND = 2.0
"""Seconds of waiting audio from which on the model is behind, unless it catches up within as many seconds."""

CALM = 60.0
"""Seconds without waiting audio after which decisions are made more often again."""

LEAST = 8
"""At least one chunk in so many is decided on, and more if windows would not overlap."""


class Load:
    """Half as often for every while that audio has had to wait, back after a calm time."""

    def __init__(self, now: float) -> None:
        self.every = 1
        """One chunk in so many is decided on."""
        self._behind_since = self._calm_since = now

    @property
    def burden(self) -> str:
        """What this means for a source, in words for the user."""
        return "overloaded: deciding less often" if self.every > 1 else ""

    def weigh(self, now: float, backlog: float) -> None:
        """`backlog` seconds of audio wait."""
        if backlog < BEHIND:
            self._behind_since = now
        if backlog > BEHIND / 2:
            self._calm_since = now
        before = self.every
        if now - self._behind_since > BEHIND:
            self.every, self._behind_since = min(2 * before, LEAST), now
        elif now - self._calm_since > CALM:
            self.every, self._calm_since = max(before // 2, 1), now
        if before > 1 and self.every == 1:
            log.info("the model keeps up again")
        elif before == 1 and self.every > 1:
            log.warning("the model cannot keep up: %.1f s of audio wait; deciding less often", backlog)
