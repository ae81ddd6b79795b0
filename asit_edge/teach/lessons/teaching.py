"""Teaching: takes in, an overlay out, with what it will be worth. What is said to the user is the command line's."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from asit_edge.audio.clock import iso
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.labels import slug
from asit_edge.model.bundle import Bundle, Manifest
from asit_edge.model.key import model_key
from asit_edge.teach.lessons.augment import Staged, staged, variants
from asit_edge.teach.lessons.fitting import Background, fit
from asit_edge.teach.lessons.hearing import Heard, Hearing
from asit_edge.teach.lessons.quality import Quality, judge
from asit_edge.teach.lessons.takes import Take
from asit_edge.teach.overlay import Overlay, QualityNote, TakeNote, TaughtSound, arrays_of
from asit_edge.teach.space import Axes, Directions, SoundSpace

FEWEST = 3
"""Takes."""

VARIANTS = 8
"""Of each take, itself among them."""

SPEECH = "Speech"
SPOKEN = 0.5
"""Probability of speech above which a take is covered by it."""


@dataclass
class Examples:
    """What a sound is made of, as directions: takes as they were recorded, the chunks of them and their variants that
    have the sound, and what it is not."""

    notes: list[tuple[str, str]] = field(default_factory=list)
    """Of each take: name and content."""
    streams: list[Directions] = field(default_factory=list)
    spans: list[Directions] = field(default_factory=list)
    before: list[Directions] = field(default_factory=list)
    """Of every take the place alone: what a sound stands out of."""
    wrong: list[Directions] = field(default_factory=list)
    spoken: list[bool] = field(default_factory=list)
    """Whether a new take is covered by speech."""


@dataclass(frozen=True)
class Taught:
    """An overlay's two parts, and how good it is."""

    sound: TaughtSound
    arrays: bytes
    quality: Quality


class Teacher:
    """What one bundle's model makes of takes."""

    def __init__(self, bundle: Bundle, axes: Axes, threads: int = 1) -> None:
        """Raises AsitEdgeError if the model cannot be loaded."""
        self._hearing = Hearing(bundle, axes, threads)
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
        streams: list[Staged] = []
        for take in new:
            streams += variants(take.sound, take.rate, VARIANTS, rng)
        streams += [staged(take.sound, take.rate, None, rng) for take in wrong]
        heard = self._hearing.listen(streams)
        for number, take in enumerate(new):
            own = heard[number * VARIANTS : (number + 1) * VARIANTS]
            examples.notes.append((take.name, take.content))
            examples.streams.append(own[0].stream)
            examples.spans.append(np.concatenate([one.span for one in own]))
            examples.before.append(np.concatenate([one.before for one in own]))
            examples.spoken.append(self._is_spoken(own[0]))
        examples.wrong += [one.span for one in heard[len(new) * VARIANTS :]]
        return len(takes) - len(new)

    def _is_spoken(self, heard: Heard) -> bool:
        return self._speech is not None and float(heard.scores[:, self._speech].mean()) > SPOKEN


def taught_from(
    name: str,
    examples: Examples,
    per_day: float,
    manifest: Manifest,
    space: SoundSpace,
    background: Background | None = None,
) -> Taught:
    """Makes the overlay. Raises AsitEdgeError where there are too few takes."""
    if len(examples.notes) < FEWEST:
        raise AsitEdgeError(
            f"{name!r}: {len(examples.notes)} take(s) are too few: record it at least {FEWEST} times, better five, "
            "from where the microphone will be"
        )
    names = [note for note, _ in examples.notes]
    not_it = [*examples.before, *examples.wrong]
    whole = fit(examples.spans, examples.streams, not_it, space, per_day, background)
    quality = judge(names, examples.streams, examples.spans, not_it, space, per_day, whole)
    prototype = whole.prototype
    parts = {"stream": examples.streams, "span": examples.spans, "before": examples.before, "wrong": examples.wrong}
    arrays = arrays_of(prototype.direction, parts)
    sound = TaughtSound(
        name=name,
        model=model_key(manifest),
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
            taken_for_it=quality.taken_for_it,
            negatives=quality.negatives,
            background_hours=round(background.hours if background else 0.0, 2),
            confused_with=quality.confused_with,
        ),
        sha256=hashlib.sha256(arrays).hexdigest(),
    )
    return Taught(sound, arrays, quality)


def remembered_take(examples: Examples, name: str, span: Directions) -> None:
    """Adds a take of which only directions (chunks, axes) are known."""
    content = hashlib.sha256(span.tobytes()).hexdigest()
    if content not in {known for _, known in examples.notes}:
        examples.notes.append((name, content))
        examples.streams.append(span)
        examples.spans.append(span)


def examples_of(overlay: Overlay) -> Examples:
    """What a sound was made of, to be improved."""
    notes = [(take.name, take.content) for take in overlay.sound.takes]
    parts = overlay.parts
    return Examples(notes, parts["stream"], parts["span"], parts["before"], parts["wrong"])


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
