"""Labelled recordings as every task sees them; `trainer.data.layouts` reads them as their publishers ship them.

A clip knows the recording that it was cut from (`group`): clips of one recording are never split between training and
test, because they sound alike.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from tqdm import tqdm

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.labels import Label
from trainer.data.audioset import label_for
from trainer.data.event import Event

Samples = npt.NDArray[np.float32]

TRAIN, VALIDATION, TEST = "train", "validation", "test"
"""Names of the parts of a data set that its publisher has split."""


@dataclass(frozen=True)
class StrongLabel:
    """A class that sounds from `onset` to `offset`, in seconds of the clip."""

    onset: float
    offset: float
    category: str


@dataclass(frozen=True)
class Clip:
    """A recording, or the part of it from `start` that lasts `seconds`."""

    path: Path
    categories: tuple[str, ...]
    group: str | None = None
    """The recording that it was cut from; None where nobody knows."""
    part: str | None = None
    """The publisher's split: train, validation or test, or the number of a fold."""
    events: tuple[StrongLabel, ...] | None = None
    """None: only the clip as a whole is labelled."""
    start: float = 0.0
    seconds: float | None = None

    @property
    def fold(self) -> int | None:
        """The number of its fold, None where it has none."""
        return int(self.part) if self.part is not None and self.part.isdigit() else None


@dataclass(frozen=True)
class Dataset:
    """Clips and classes; `categories` gives the order of the classes and their display names."""

    name: str
    clips: list[Clip]
    categories: list[str]
    single_label: bool = True
    """Whether every clip has exactly one class."""

    @property
    def folds(self) -> list[int]:
        return sorted({clip.fold for clip in self.clips if clip.fold is not None})

    @property
    def strong(self) -> bool:
        """Whether onsets and offsets are known."""
        return all(clip.events is not None for clip in self.clips)

    @property
    def grouped(self) -> bool:
        """Whether the recording of every clip is known."""
        return all(clip.group is not None for clip in self.clips)

    @property
    def groups(self) -> list[str]:
        """The recording of each clip; the file itself where nobody knows."""
        return [clip.group if clip.group is not None else str(clip.path) for clip in self.clips]

    @property
    def targets(self) -> npt.NDArray[np.float32]:
        """Multi-hot, (clips, categories)."""
        columns = {category: column for column, category in enumerate(self.categories)}
        targets = np.zeros((len(self.clips), len(self.categories)), np.float32)
        for row, clip in enumerate(self.clips):
            for category in clip.categories:
                targets[row, columns[category]] = 1
        return targets

    @property
    def events(self) -> list[list[Event]]:
        """True events of each clip, by column of `categories`."""
        columns = {category: column for column, category in enumerate(self.categories)}
        return [
            [Event(event.onset, event.offset, columns[event.category]) for event in clip.events or ()]
            for clip in self.clips
        ]

    @property
    def labels(self) -> list[Label]:
        """One label a category: the AudioSet class where there is one, else a label of its own."""
        return [label_for(name) for name in self.categories]

    def load(self, rate: int) -> list[Samples]:
        """Every clip in memory, mono at `rate`: an hour is 230 MB at 16 kHz."""
        return [
            load_clip(clip.path, rate, clip.start, clip.seconds)
            for clip in tqdm(self.clips, "reading", disable=not sys.stderr.isatty())
        ]

    def choose(self, indices: Sequence[int] | npt.NDArray[np.integer]) -> "Dataset":
        """The same classes, only these clips."""
        return replace(self, clips=[self.clips[int(index)] for index in indices])


def split_by_group(dataset: Dataset, share: float, seed: int, force: bool = False) -> tuple[list[int], list[int]]:
    """Indices of (the rest, about `share` of the clips) that have no recording in common.

    Recordings are drawn so that each class gives about its share, rare classes first; the rest keeps at least one
    recording of every class. Raises WrongUse if recordings are not known, unless `force` takes every file for one.
    """
    if not dataset.grouped and not force:
        raise WrongUse(
            f"{dataset.name}: which files come from the same recording is not known, and a split by file would test on "
            "recordings that were trained on; name recordings (a column group, or a sub-folder each), or force it "
            "with --split-by-file if every file is a recording of its own"
        )
    groups = dataset.groups
    order = sorted(set(groups))
    np.random.default_rng(seed).shuffle(order)
    # Clips of each class in each recording; negatives are split like a class.
    clips_of: dict[str, Counter[str]] = {group: Counter() for group in order}
    for clip, group in zip(dataset.clips, groups, strict=True):
        clips_of[group].update(set(clip.categories) or {""})
    totals: Counter[str] = Counter()
    for counts in clips_of.values():
        totals.update(counts)
    left = Counter(category for counts in clips_of.values() for category in counts)
    with_category: dict[str, list[str]] = {category: [] for category in totals}
    for group in order:
        for category in clips_of[group]:
            with_category[category].append(group)
    held: set[str] = set()
    for category in sorted(totals, key=lambda category: (left[category], category)):
        have = sum(clips_of[group][category] for group in with_category[category] if group in held)
        for group in with_category[category]:
            size = clips_of[group][category]
            last = any(left[other] == 1 for other in clips_of[group])
            if group in held or last or 2 * size > totals[category]:
                continue
            if have and have + size / 2 > share * totals[category]:
                break
            held.add(group)
            left.subtract(dict.fromkeys(clips_of[group], 1))
            have += size
    rest = [index for index, group in enumerate(groups) if group not in held]
    return rest, [index for index, group in enumerate(groups) if group in held]


def load_clip(path: Path, rate: int, start: float = 0.0, seconds: float | None = None) -> Samples:
    """A clip as mono float32 samples at `rate`. Raises AsitEdgeError that names the file."""
    try:
        with soundfile.SoundFile(path) as file:
            file.seek(min(round(start * file.samplerate), file.frames))
            frames = -1 if seconds is None else round(seconds * file.samplerate)
            audio, source_rate = file.read(frames, dtype="float32", always_2d=True), file.samplerate
    except (OSError, soundfile.SoundFileError) as error:
        raise AsitEdgeError(f"{path}: cannot be read as audio ({error})") from None
    mono = audio.mean(axis=1)
    return soxr.resample(mono, source_rate, rate).astype(np.float32) if source_rate != rate else mono
