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

    def __init__(self, now: float, *, can_decide_less: bool = True) -> None:
        """`can_decide_less`: a model that has to see every chunk to keep its memory cannot."""
        self.every = 1
        """One chunk in so many is decided on."""
        self._least = LEAST if can_decide_less else 1
        self._overloaded = False
        self._behind_since = self._calm_since = now

    @property
    def burden(self) -> str:
        """What this means for a source, in words for the user."""
        if self.every > 1:
            return "overloaded: deciding less often"
        return "overloaded: audio waits for the model" if self._overloaded else ""

    def weigh(self, now: float, backlog: float) -> None:
        """`backlog` seconds of audio wait."""
        if backlog < BEHIND:
            self._behind_since = now
        if backlog > BEHIND / 2:
            self._calm_since = now
        before = self._overloaded
        if now - self._behind_since > BEHIND:
            self.every, self._behind_since = min(2 * self.every, self._least), now
            self._overloaded = True
        elif now - self._calm_since > CALM:
            self.every, self._calm_since = max(self.every // 2, 1), now
            self._overloaded = self.every > 1
        if before and not self._overloaded:
            log.info("the model keeps up again")
        elif self._overloaded and not before:
            what = "deciding less often" if self.every > 1 else "if that goes on, the oldest of it will be given up"
            log.warning("the model cannot keep up: %.1f s of audio wait; %s", backlog, what)
