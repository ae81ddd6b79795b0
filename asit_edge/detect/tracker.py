"""The event tracker: scores in, events out. A pure state machine; no clock, no I/O, positions in samples.

Per class: a sound begins with the first decision whose score reaches `on` and goes on while scores stay at `off` or
above (true hysteresis). It counts once it has lasted `min_duration`, and is over when the score has been below `off`
for longer than `merge_gap`: a return to `on` before that continues it. After its end, nothing begins for `cooldown`.

Sounds become events: announced (`new`), kept up to date (`update`, at a bounded rate), over (`end`). Without families a
sound is an event. With them (`parents`: Bark is a Dog), sounds of one line of descent are one event that carries the
label heard first, the most specific one where several begin together, and names the others in `also`; it ends when the
last of its sounds does. An event longer than `max_duration` is ended and goes on as another, which says what it
continues. Every `new` gets exactly one `end`: by silence, by a gap, or by shutdown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from asit_edge.detect.hysteresis import ClassSettings, Hysteresis


class Kind(str, Enum):
    NEW = "new"
    UPDATE = "update"
    END = "end"


@dataclass(frozen=True)
class Change:
    """What became of an event: `label` is the class index, positions are samples of the stream.

    `score` is the newest score, `peak` the highest one so far; `offset` is set on `end` only. `decided` is the
    end of the audio that the decision rests on. `also` are the other classes of the family that took part; `continues`
    is the onset of the event of the same label that was ended for its length and goes on in this one.
    """

    kind: Kind
    label: int
    onset: int
    offset: int | None
    score: float
    peak: float
    decided: int
    also: tuple[int, ...] = ()
    continues: int | None = None


class Tracker:
    """Follows every class of one stream."""

    def __init__(self, settings: Sequence[ClassSettings | None], parents: Mapping[int, int] | None = None) -> None:
        """One entry a class, in the model's order; None for classes that are not reported.

        `parents` maps a class to the more general one that it is a kind of; ValueError if it goes in circles.
        """
        self._families = {label: lineage(label, parents or {}) for label in range(len(settings))}
        classes = [Hysteresis(label, entry) for label, entry in enumerate(settings) if entry]
        self._classes = sorted(classes, key=lambda tracker: -len(self._families[tracker.label]))
        self._size = len(settings)
        self._position = 0
        self._events: list[_OpenEvent] = []
        self._muted: frozenset[int] = frozenset()

    @property
    def classes(self) -> int:
        """How many scores a decision has."""
        return self._size

    @property
    def position(self) -> int:
        """Up to where there are decisions."""
        return self._position

    @property
    def quiet(self) -> bool:
        """No class is active, not even for too short a time to count."""
        return all(tracker.onset is None for tracker in self._classes)

    def step(self, start: int, end: int, scores: npt.NDArray[np.float32]) -> list[Change]:
        """The scores (classes,) of the audio from `start` to `end`, which must follow on what came before."""
        if not self._position <= start < end:
            raise ValueError(f"audio from {start} to {end} does not follow on {self._position}")
        if scores.shape != (self._size,):
            raise ValueError(f"expected {self._size} scores, not an array of shape {scores.shape}")
        self._position = end
        changes: list[Change] = []
        carried = {event.label for event in self._events}
        values = scores.tolist()
        for tracker in self._classes:
            score = values[tracker.label]
            # Of most classes there is nothing to say most of the time.
            if tracker.onset is None and score < tracker.settings.on and tracker.label not in carried:
                continue
            if tracker.label in self._muted:
                continue
            if (over := tracker.over(start, end, score)) is not None:
                self._leave(tracker.label, over, score, end, changes)
            began = tracker.step(start, end, score)
            if began:
                self._join(tracker, score, end, changes)
            if event := self._event_of(tracker.label):
                event.score_with(score, tracker.onset is not None and tracker.heard_until == end)
                if not began and 0 < event.settings.update_every <= end - event.changed_at:
                    changes.append(event.change(Kind.UPDATE, end))
        for event in self._events:
            changes += self._split(event, start, end)
        return changes

    def finish(self, position: int) -> list[Change]:
        """Ends every event, because the audio stops at `position` (a gap, the end of a file, a shutdown).

        Audio that was scored beyond `position` was padding: offsets never lie behind it.
        """
        changes: list[Change] = []
        for tracker in self._classes:
            self._stop(tracker, position, changes)
        self._position = position
        return changes

    def mute(self, labels: Iterable[int]) -> list[Change]:
        """From here on these classes, and no others, are passed over; what they have begun ends.

        What else of their family is still heard goes on as an event of its own label.
        """
        muted = frozenset(labels)
        changes: list[Change] = []
        for tracker in self._classes:
            if tracker.label in muted - self._muted:
                self._stop(tracker, self._position, changes)
        self._muted = muted
        for event in [one for one in self._events if one.label in muted]:
            self._hand_over(event, changes)
        return changes

    def know(self, settings: Sequence[ClassSettings | None], *, anew: bool = False) -> list[Change]:
        """More classes, after those that there were; and what is None is not reported any more. What was set meanwhile
        for one that stays remains so, unless all are set `anew`."""
        changes: list[Change] = []
        for tracker in [one for one in self._classes if settings[one.label] is None]:
            self._stop(tracker, self._position, changes)
            self._classes.remove(tracker)
        for tracker in self._classes if anew else ():
            tracker.settings = settings[tracker.label] or tracker.settings
        reported = {tracker.label for tracker in self._classes}
        for label, entry in enumerate(settings):
            self._families.setdefault(label, (label,))
            if entry is not None and label not in reported:
                self._classes.append(Hysteresis(label, entry))
        self._size = len(settings)
        return changes

    def set_thresholds(self, label: int, on: float, off: float) -> None:
        """Changes where events of a class begin, and below which score they end. ValueError if out of range."""
        for tracker in self._classes:
            if tracker.label == label:
                tracker.settings = replace(tracker.settings, on=on, off=off)

    def _stop(self, tracker: Hysteresis, position: int, changes: list[Change]) -> None:
        if (offset := tracker.finish(position)) is not None:
            self._leave(tracker.label, offset, None, position, changes)

    def _event_of(self, label: int) -> "_OpenEvent | None":
        """The event that carries this label."""
        return next((event for event in self._events if event.label == label), None)

    def _join(self, tracker: Hysteresis, score: float, end: int, changes: list[Change]) -> None:
        """A sound has begun: a part of an open event of its family, or an event of its own."""
        assert tracker.onset is not None
        label = tracker.label
        for event in self._events:
            if label in self._families[event.label] or event.label in self._families[label]:
                event.active.add(label)
                if label != event.label and label not in event.also:
                    event.also += (label,)
                    known = [at for at, change in enumerate(changes) if change.label == event.label]
                    if known and changes[known[-1]].kind is Kind.NEW:
                        changes[known[-1]] = replace(changes[known[-1]], also=event.also)
                    else:
                        changes.append(event.change(Kind.UPDATE, end))
                return
        event = _OpenEvent(label, tracker.settings, tracker.onset, score, tracker.peak)
        event.heard_until = tracker.heard_until
        self._events.append(event)
        changes.append(event.change(Kind.NEW, end))

    def _leave(self, label: int, offset: int, score: float | None, decided: int, changes: list[Change]) -> None:
        """A sound is over, and its event too if it was the last in it."""
        for event in self._events:
            if label in event.active:
                event.active.discard(label)
                event.offset = max(event.offset, offset, event.onset)
                if label == event.label and score is not None:
                    event.score = score
                if not event.active:
                    changes.append(event.change(Kind.END, decided))
                    self._events.remove(event)
                return

    def _hand_over(self, event: "_OpenEvent", changes: list[Change]) -> None:
        """Ends an event whose label is muted, and lets what else is in it go on."""
        others = [tracker for tracker in self._classes if tracker.label in event.active]
        event.offset = max(event.offset, event.onset, *(one.heard_until for one in others))
        changes.append(event.change(Kind.END, self._position))
        self._events.remove(event)
        for tracker in others:
            assert tracker.onset is not None
            tracker.onset = max(tracker.onset, min(event.onset, tracker.heard_until))  # before that it was this event
            self._join(tracker, tracker.peak, self._position, changes)

    def _split(self, event: "_OpenEvent", start: int, end: int) -> list[Change]:
        """Ends an event that this audio makes too long, and lets it go on as another."""
        heard = max((one.heard_until for one in self._classes if one.label in event.active), default=0)
        before, event.heard_until = event.heard_until, heard
        longest = event.settings.max_duration
        if not longest or heard < end or end - event.onset <= longest or event.onset >= start:
            return []
        event.offset = max(min(before, start), event.onset)
        changes = [event.change(Kind.END, end)]
        event.continues, event.onset, event.offset, event.peak = event.onset, start, 0, event.score
        event.also = tuple(label for label in event.also if label in event.active)
        return [*changes, event.change(Kind.NEW, end)]


def lineage(label: int, parents: Mapping[int, int]) -> tuple[int, ...]:
    """A class and the more general ones above it, nearest first. ValueError if they go in circles."""
    line = [label]
    while (parent := parents.get(line[-1])) is not None:
        if parent in line:
            raise ValueError(f"class {parent} is its own ancestor")
        line.append(parent)
    return tuple(line)


class _OpenEvent:
    """An event that goes on: one or more active classes of a family."""

    def __init__(self, label: int, settings: ClassSettings, onset: int, score: float, peak: float) -> None:
        self.label = label
        self.settings = settings
        self.onset = onset
        self.offset = 0
        self.heard_until = 0
        self.score = score
        self.peak = peak
        self.active = {label}
        self.also: tuple[int, ...] = ()
        self.continues: int | None = None
        self.changed_at = 0

    def score_with(self, score: float, active: bool) -> None:
        self.score = score
        if active:
            self.peak = max(self.peak, score)

    def change(self, kind: Kind, decided: int) -> Change:
        self.changed_at = decided
        offset = self.offset if kind is Kind.END else None
        values = (self.onset, offset, self.score, self.peak, decided, self.also, self.continues)
        return Change(kind, self.label, *values)
