"""Long sound and what is known to be in it: real ambience, or scenes mixed of left-out sounds."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import soxr

from asit_edge.audio.samples import Samples
from asit_edge.errors import WrongUse
from trainer.data.decode import length_of, samples_of
from trainer.data.left_out import collection_of, original
from trainer.data.recording import Recording, TrueEvent
from trainer.data.soundscapes import SoundLibrary, Soundscape, SoundscapeConfig
from trainer.evaluation.families import covered, parents, related
from trainer.evaluation.yardstick.clips import choose_clips

AMBIENCES = ("noixer", "muges_ambientsounds", "drunkentoast_ambience", "scikit_maad")
"""Collections among the left-out ones whose recordings are of places, not of single sounds."""

LEAST_AMBIENCE = 9.9
"""Seconds."""

SCENES = SoundscapeConfig(response=0.0)
"""30 s, up to six sounds at 0 to 20 dB, up to three of other classes; a fifth without any wanted sound."""

FEWEST = 3
"""Clips that a label of the scenes has."""

NEAR = {"Smash, crash", "Burst, pop", "Steam whistle", "Foghorn", "Skidding", "Owl", "Frog", "Rustling leaves"}
"""Labels that may well hold a wanted sound, or cannot be told from one: used for nothing in scenes."""


class Listening(Protocol):
    """Pieces of sound, each with the labels of all that is known to be in it."""

    def __len__(self) -> int: ...

    def samples(self, index: int, rate: int) -> Samples: ...

    def labels(self, index: int) -> frozenset[str]: ...


@dataclass(frozen=True)
class Ambience:
    """Recordings of places."""

    recordings: list[Recording]

    def __len__(self) -> int:
        return len(self.recordings)

    def samples(self, index: int, rate: int) -> Samples:
        return samples_of(self.recordings[index], rate)

    def labels(self, index: int) -> frozenset[str]:
        return frozenset(self.recordings[index].labels)


@dataclass(frozen=True)
class Scenes:
    """So many soundscapes of a library, each drawn again when it is asked for: the same every time."""

    sounds: SoundLibrary
    count: int
    seed: int
    known: dict[Path, frozenset[str]]
    """What is in the sounds' files."""
    config: SoundscapeConfig = SCENES
    _last: dict[int, Soundscape] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.count

    def scene(self, index: int) -> Soundscape:
        if index not in self._last:
            self._last.clear()
            self._last[index] = self.sounds.soundscape(index, self.seed, self.config)
        return self._last[index]

    def samples(self, index: int, rate: int) -> Samples:
        made = self.scene(index).samples
        return soxr.resample(made, self.config.rate, rate).astype(np.float32) if rate != self.config.rate else made

    def labels(self, index: int) -> frozenset[str]:
        recipe = self.scene(index).recipe
        paths = [recipe["background"], *(part["path"] for part in recipe["sounds"])]
        return frozenset[str]().union(*(self.known.get(Path(path), frozenset()) for path in paths))

    def events(self, index: int) -> list[TrueEvent]:
        """By the number of the class in `sounds.classes`."""
        places = {name: place for place, name in enumerate(self.sounds.classes)}
        return [TrueEvent(one.onset, one.offset, places[one.category]) for one in self.scene(index).events]


def ambience(left_out: Sequence[Recording], places: Collection[str] = AMBIENCES) -> Ambience:
    """The recordings of places among those that are left out: the long ones of these collections."""
    chosen = [one for one in left_out if collection_of(one) in places and (length_of(one) or 0.0) >= LEAST_AMBIENCE]
    return Ambience(chosen)


def scene_library(
    left_out: Sequence[Recording], labels: Sequence[str], places: Collection[str] = AMBIENCES
) -> SoundLibrary:
    """Short sounds of the labels (and kinds of them) that enough clips have, over places where none of them is.

    A sound is an event of its own label and of every wanted label that it is a kind of. Other sounds are of labels that
    are no kind of a wanted one, nor the other way round. Places without a label are not used: nobody knows what is
    in them. Raises WrongUse where there are no such sounds.
    """
    clips = choose_clips("scenes", left_out, labels, longer=False, fewest=FEWEST)
    wanted = clips.categories
    if not wanted:
        raise WrongUse(f"no label has {FEWEST} short clips in the left-out collections of --data")
    sounds: dict[str, list[Recording]] = {name: [] for name in wanted}
    for one in clips.recordings:
        above = sorted(parents(one.label) & set(wanted))
        sounds[one.label].append(replace(one, labels=(one.label, *above)))

    def apart(one: Recording) -> bool:
        return bool(one.labels) and one.label not in NEAR and not any(related(one.label, name) for name in wanted)

    long = ambience(left_out, places).recordings
    drawn = {original(one) for one in [*clips.recordings, *long]}
    others = [
        one
        for one in left_out
        if apart(one) and original(one) not in drawn and not covered(one.label, labels) and _short(one)
    ]
    backgrounds = [one for one in long if apart(one)]
    return SoundLibrary(sounds, others, backgrounds, [], SCENES.rate)


def _short(one: Recording) -> bool:
    return 0.1 <= (length_of(one) or 0.0) <= SCENES.longest


def scenes_of(library: SoundLibrary, count: int, seed: int) -> Scenes:
    everything = [*library.others, *library.backgrounds, *(one for sounds in library.wanted.values() for one in sounds)]
    return Scenes(library, count, seed, {one.path: frozenset(one.labels) for one in everything})
