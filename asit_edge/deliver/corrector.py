"""Corrections that come over MQTT: an event was not what it was called, or a sound was missed. As `asit-edge wrong` and
`missed` do it, in a thread of its own: a correction takes seconds of the processor, and the connection does not wait.
"""

import logging
import time
from collections.abc import Callable

from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.host.errands import Errands
from asit_edge.messages.report import CommandError
from asit_edge.mqtt.commands import Correction

log = logging.getLogger(__name__)

MOST_WAITING = 8

SHORTEST, USUAL = 0.3, 2.0
"""Seconds of a sound that was wrong at least, and of one that was missed."""


class Corrector:
    """Of one device. `refuse` learns of what could not be done."""

    def __init__(self, config: Config, refuse: Callable[[CommandError], None]) -> None:
        self._config, self._refuse = config, refuse
        self._errands: Errands | None = None

    def ask(self, wanted: Correction, answer: Callable[[str], CommandError]) -> None:
        """Soon; `answer` makes of words what is told where it fails."""
        if self._errands is None:  # nobody corrects most devices that way
            self._errands = Errands("corrections", MOST_WAITING, "they come faster than they can be learnt")
        now = time.time()
        if not self._errands.do(lambda: self._do(wanted, answer, now)):
            self._refuse(answer("too many corrections at once; try again in a minute"))

    def stop(self, seconds: float) -> None:
        if self._errands is not None:
            self._errands.stop(seconds)

    def _do(self, wanted: Correction, answer: Callable[[str], CommandError], now: float) -> None:
        try:
            log.info("%s: %r is corrected (%s)", wanted.source, self._amend(wanted, now), wanted.kind)
        except AsitEdgeError as error:
            log.warning("%s: %s: %s", wanted.source, wanted.kind, error)
            self._refuse(answer(str(error)))

    def _amend(self, wanted: Correction, now: float) -> str:
        from asit_edge.model.bundle import find_bundle, load_bundle
        from asit_edge.store.listing import find
        from asit_edge.teach.lessons.amending import amend

        bundle = load_bundle(find_bundle(self._config.model))
        if wanted.kind == "missed":
            begin = now - wanted.ago
            return amend(bundle, wanted.label, "missed", "missed, over MQTT", begin, begin + USUAL, wanted.source).name
        event = find(self._config.store.effective_path, wanted.event)
        if event is None or event.source != wanted.source:
            raise WrongUse(f"no event {wanted.event!r} of {wanted.source} is stored; its id stands in every message")
        end = event.onset_epoch + max(event.duration or 0.0, SHORTEST)
        what = f"event {event.id}"
        return amend(bundle, event.label, "wrong", what, event.onset_epoch, end, event.source).name
