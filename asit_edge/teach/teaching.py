"""Teaching: takes in, an overlay out, with what it will be worth. What is said to the user is the command line's."""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from asit_edge.audio.clock import iso
from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.labels import slug
from asit_edge.model.bundle import Bundle
from asit_edge.teach.augment import staged, variants
from asit_edge.teach.hearing import Heard, Hearing
from asit_edge.teach.overlay import Overlay, QualityNote, TakeNote, TaughtSound, arrays_of, model_key
from asit_edge.teach.prototype import (
    Prototype,
    Tail,
    direction_of,
    fitted,
    likeness,
    negative_peaks,
    tail_of,
)
from asit_edge.teach.quality import Quality, judge
from asit_edge.teach.space import Directions, SoundSpace
from asit_edge.teach.takes import Take

log = logging.getLogger(__name__)

FEWEST = 3
"""Takes."""

VARIANTS = 8
"""Of each take, itself among them."""

SPEECH = "Speech"
SPOKEN = 0.5
"""Probability of speech above which a take is covered by it."""

Progress = Callable[[str], None]


@dataclass
class Examples:
    """What a sound is made of, as directions: takes as they were recorded, the chunks of them and their variants that
    have the sound, and what it is not."""

    notes: list[tuple[str, str]] = field(default_factory=list)
    """Of each take: name and content."""
    streams: list[Directions] = field(default_factory=list)
    spans: list[Directions] = field(default_factory=list)
    wrong: list[Directions] = field(default_factory=list)
    spoken: list[bool] = field(default_factory=list)
    """Whether a new take is covered by speech."""


@dataclass(frozen=True)
class Taught:
    """An overlay's two parts, and how good it is."""

    sound: TaughtSound
    arrays: bytes
    quality: Quality


@dataclass(frozen=True)
class Background:
    """What a place sounds like, in directions (chunks, axes) without a break, of so many hours."""

    stretches: list[Directions]
    hours: float


class Teacher:
    """Teaches sounds to one bundle's model."""

    def __init__(self, bundle: Bundle, space: SoundSpace, threads: int = 1) -> None:
        """Raises AsitEdgeError if the model cannot be loaded."""
        self._bundle, self._space = bundle, space
        self._hearing = Hearing(bundle, space.axes, threads)
        names = [label.name for label in bundle.manifest.labels]
        self._speech = names.index(SPEECH) if SPEECH in names else None

    @property
    def rate(self) -> int:
        """Of the samples in takes, Hz."""
        return self._hearing.rate

    def hear(self, examples: Examples, takes: Sequence[Take], wrong: Sequence[Take] = ()) -> int:
        """Adds takes, and examples of what it is not. Those that are there already are left out: returns how many."""
        known = {content for _, content in examples.notes}
        new = [take for at, take in enumerate(takes) if take.content not in known | {one.content for one in takes[:at]}]
        rng = np.random.default_rng(0)
        streams: list[Samples] = []
        for take in new:
            streams += variants(take.sound, take.rate, VARIANTS, rng)
        streams += [staged(take.sound, take.rate, None, rng) for take in wrong]
        heard = self._hearing.listen(streams)
        for number, take in enumerate(new):
            own = heard[number * VARIANTS : (number + 1) * VARIANTS]
            examples.notes.append((take.name, take.content))
            examples.streams.append(own[0].stream)
            examples.spans.append(np.concatenate([one.span for one in own]))
            examples.spoken.append(self._is_spoken(own[0]))
        examples.wrong += [one.span for one in heard[len(new) * VARIANTS :]]
        return len(takes) - len(new)

    def teach(self, name: str, examples: Examples, per_day: float, background: Background | None = None) -> Taught:
        """Makes the overlay. Raises AsitEdgeError where there are too few takes."""
        if len(examples.notes) < FEWEST:
            raise AsitEdgeError(
                f"{name!r}: {len(examples.notes)} take(s) are too few: record it at least {FEWEST} times, better five, "
                "from where the microphone will be"
            )
        names = [note for note, _ in examples.notes]
        quality = judge(names, examples.streams, examples.spans, examples.wrong, self._space, per_day)
        prototype = self._prototype(examples, per_day, background)
        arrays = arrays_of(prototype.direction, examples.streams, examples.spans, examples.wrong)
        sound = TaughtSound(
            name=name,
            model=model_key(self._bundle.manifest),
            taught=iso(time.time()),
            alarms_per_day=per_day,
            threshold=round(prototype.threshold, 6),
            softness=round(prototype.softness, 6),
            takes=[
                TakeNote(name=note, content=content, heard=take.heard, likeness=round(take.likeness, 4))
                for (note, content), take in zip(examples.notes, quality.takes, strict=True)
            ],
            wrong=len(examples.wrong),
            quality=QualityNote(
                average_precision=round(quality.average_precision, 4),
                alarms_per_day=round(quality.alarms_per_day, 3),
                hours=round(quality.hours + (background.hours if background else 0.0), 2),
                confused_with=quality.confused_with,
            ),
            sha256=hashlib.sha256(arrays).hexdigest(),
        )
        return Taught(sound, arrays, quality)

    def _prototype(self, examples: Examples, per_day: float, background: Background | None) -> Prototype:
        direction = direction_of(examples.spans, examples.wrong)
        takes = [float(likeness(stream, direction).max()) for stream in examples.streams]
        return fitted(direction, takes, tails(self._space, direction, background), per_day)

    def _is_spoken(self, heard: Heard) -> bool:
        return self._speech is not None and float(heard.scores[:, self._speech].mean()) > SPOKEN


def tails(space: SoundSpace, direction: Directions, background: Background | None) -> list[Tail]:
    """How often the shipped negatives, and the place's own sounds, are how like a direction."""
    found = [tail_of(negative_peaks(space, direction), space.hours)]
    if background is not None and background.stretches:
        peaks = np.array([likeness(one, direction).max() for one in background.stretches])
        found.append(tail_of(peaks, background.hours))
    return found


def examples_of(overlay: Overlay) -> Examples:
    """What a sound was made of, to be improved."""
    notes = [(take.name, take.content) for take in overlay.sound.takes]
    return Examples(notes, list(overlay.streams), list(overlay.spans), list(overlay.wrong))


def check_name(name: str, bundle: Bundle) -> None:
    """Raises WrongUse for a name that cannot be a taught sound's."""
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise WrongUse(f"{name!r}: a name has from 1 to 200 characters that can be read")
    for label in bundle.manifest.labels:
        if slug(label.name) == slug(name):
            raise WrongUse(
                f"{name!r}: {bundle.manifest.name} knows {label.name!r} itself; choose a name of your own, such as "
                f"'My {label.name.lower()}'"
            )
