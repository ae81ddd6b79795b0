"""Looks on while a device listens, and has a clip written of every event that is to have one.

What is heard is kept in memory, a tape a source. When an event's sound and what belongs behind it have been heard, the
clip is cut and handed to the keeper, which writes it. No method waits.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from asit_edge.audio.samples import Samples
from asit_edge.clips.ears import Ears
from asit_edge.clips.keeper import Keeper
from asit_edge.clips.names import clip_name
from asit_edge.clips.speech import is_speech
from asit_edge.clips.tape import Cut, Tape
from asit_edge.clips.wanted import LATE, Wanted
from asit_edge.config.clips import Clips
from asit_edge.config.root import Config
from asit_edge.labels import Label
from asit_edge.messages.event import Event
from asit_edge.messages.report import Status
from asit_edge.model.classifier import Scores
from asit_edge.observe.observer import Observer

REMEMBERED = 1_000
"""Events whose clip was cut before they ended, and that are not forgotten."""

INTERRUPTED = {"lost", "failed", "silent_device", "muted", "stopped"}
"""States of a source in which nothing follows on what was heard."""


class Recorder(Observer):
    """Of all sources of a device; `ears` where no clip may have speech in it."""

    def __init__(
        self, settings: Clips, keeper: Keeper, ears: Ears | None, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings, self._keeper, self._ears, self._steady = settings, keeper, ears, steady
        self._lock = threading.Lock()
        self._tapes: dict[str, Tape] = {}
        self._wanted: dict[str, Wanted] = {}
        self._promised: deque[str] = deque(maxlen=REMEMBERED)
        """Ids of events that sound on while their clip is written."""
        self._interrupted: set[str] = set()

    @staticmethod
    def seconds(settings: Clips, margin: float) -> float:
        """How much of each source has to be remembered."""
        return settings.max_seconds + margin + LATE

    @property
    def margin(self) -> float:
        return self._ears.margin if self._ears else 0.0

    @property
    def problem(self) -> str | None:
        """What is wrong with the folder at the moment, in words for the user."""
        return self._keeper.problem

    # A companion of the listening.

    @property
    def observer(self) -> Observer:
        return self

    def start(self) -> None:
        self._keeper.start()

    def stop(self, seconds: float) -> None:
        with self._lock:
            for wanted in list(self._wanted.values()):
                self._cut(wanted)
        self._keeper.stop(seconds)

    # In the listening loop's thread.

    def heard(self, source: str, epoch: float, samples: Samples, rate: int) -> None:
        with self._lock:
            if source not in self._tapes:
                self._tapes[source] = Tape(self.seconds(self._settings, self.margin))
            self._tapes[source].hear(epoch, samples, rate)
            self._cut_what_is_due()

    def scored(self, source: str, epoch: float, scores: Scores) -> None:
        if self._ears is not None:
            with self._lock:
                self._ears.score(source, epoch, scores)
                self._cut_what_is_due()

    def configured(self, config: Config) -> None:
        if self._ears is not None:
            with self._lock:
                self._ears.hear_of(config.source_names)

    # In the thread that announces.

    def clip(self, event: Event) -> str | None:
        with self._lock:
            if event.id in self._promised:
                self._promised.remove(event.id)
                return self._settings.address(clip_name(event, self._keeper.form))
            wanted = self._wanted.get(event.id)
            if wanted is None or event.peak < self._settings.min_score:
                return None
            until = wanted.until_by(event, self._settings)
            if self._ears is not None and self._ears.spoken(event.source, wanted.begin, until):
                return None
            return self._settings.address(clip_name(event, self._keeper.form))

    def events(self, source: str, events: Sequence[Event]) -> None:
        with self._lock:
            for event in events:
                if event.type == "new" and self._wants(event):
                    self._wanted[event.id] = Wanted.of(event, self._settings)
                if event.id in self._wanted:
                    self._wanted[event.id].hear_of(event, self._settings, self._steady(), self.margin)
            self._cut_what_is_due()

    def status(self, status: Status) -> None:
        with self._lock:
            if status.state in INTERRUPTED:
                self._interrupted.add(status.source)
            else:
                self._interrupted.discard(status.source)
            self._cut_what_is_due()

    # With the lock held.

    def _wants(self, event: Event) -> bool:
        if self._ears is not None and is_speech(Label(name=event.label, id=event.label_id)):
            return False
        return self._settings.labels is None or event.label in self._settings.labels

    def _cut_what_is_due(self) -> None:
        for wanted in [one for one in self._wanted.values() if self._due(one)]:
            self._cut(wanted)

    def _due(self, wanted: Wanted) -> bool:
        source = wanted.event.source
        if wanted.over and (source in self._interrupted or self._steady() >= wanted.give_up):
            return True
        heard = source in self._tapes and self._tapes[source].end >= wanted.until
        return heard and (self._ears is None or self._ears.settled(source, wanted.until))

    def _cut(self, wanted: Wanted) -> None:
        event, source = wanted.event, wanted.event.source
        del self._wanted[event.id]
        if event.peak < self._settings.min_score:
            return
        until = wanted.until if self._ears is None else self._ears.believed(source, wanted.until)
        tape = self._tapes.get(source)
        cut = tape.cut(event.onset_epoch, wanted.begin, until) if tape else None
        if self._ears is not None and (until <= event.onset_epoch or self._doubtful(self._ears, wanted, cut)):
            self._keeper.refuse(event, "speech")
        elif cut is None:
            self._keeper.refuse(event, "late")
        else:
            self._keeper.keep(event, cut)
            if not wanted.over:
                self._promised.append(event.id)

    def _doubtful(self, ears: Ears, wanted: Wanted, cut: Cut | None) -> bool:
        """Somebody may have spoken, or not all of it has been looked at."""
        source = wanted.event.source
        unheard = cut is not None and not ears.covered(source, cut.begin, cut.begin + cut.seconds)
        return unheard or ears.spoken(source, wanted.begin, wanted.until)
