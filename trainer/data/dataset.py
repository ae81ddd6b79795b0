"""Labelled data sets as every task sees them, and how they are split; `trainer.data.layouts` reads them."""

import hashlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from asit_edge.audio.samples import Samples
from asit_edge.errors import WrongUse
from asit_edge.labels import Label
from trainer.data.audioset import label_for
from trainer.data.decode import length_of, samples_of
from trainer.data.recording import Recording, TrueEvent

TRAIN, VALIDATION, TEST = "train", "validation", "test"
"""Names of the parts of a data set that its publisher has split."""

SHORTEST = 0.03
"""Seconds; in less than a few frames there is nothing to hear."""


@dataclass(frozen=True)
class Dataset:
    """Recordings and classes; `categories` gives the order of the classes and their display names."""

    name: str
    recordings: list[Recording]
    categories: list[str]
    single_label: bool = True
    """Whether every recording has exactly one class."""

    @property
    def folds(self) -> list[int]:
        return sorted({one.fold for one in self.recordings if one.fold is not None})

    @property
    def strong(self) -> bool:
        """Whether onsets and offsets are known."""
        return all(one.events is not None for one in self.recordings)

    @property
    def sharded(self) -> bool:
        """Whether clips lie in shards, where they are read one by one when their turn comes."""
        return any(one.inside is not None for one in self.recordings)

    @property
    def facts(self) -> dict[str, str]:
        """What must be the same wherever a run reads it: by shard, or of all files together."""
        listed: dict[str, list[Recording]] = {}
        for one in self.recordings:
            listed.setdefault("files" if one.inside is None else f"{one.path.parent.name}/{one.path.name}", []).append(
                one
            )
        return {name: f"{len(own)} clips, SHA-256 {_digest(own)}" for name, own in listed.items()}

    @property
    def grouped(self) -> bool:
        """Whether it is known of every recording what it was cut from."""
        return all(one.group is not None for one in self.recordings)

    @property
    def groups(self) -> list[str]:
        """What each recording was cut from; the file itself where nobody knows."""
        return [one.origin for one in self.recordings]

    @property
    def columns(self) -> list[list[int]]:
        """The classes of each recording, by their numbers."""
        columns = {category: column for column, category in enumerate(self.categories)}
        return [[columns[label] for label in one.labels] for one in self.recordings]

    @property
    def targets(self) -> npt.NDArray[np.float32]:
        """Multi-hot, (recordings, categories)."""
        targets = np.zeros((len(self.recordings), len(self.categories)), np.float32)
        for row, own in enumerate(self.columns):
            targets[row, own] = 1
        return targets

    @property
    def events(self) -> list[list[TrueEvent]]:
        """True events of each recording, by column of `categories`."""
        columns = {category: column for column, category in enumerate(self.categories)}
        return [
            [TrueEvent(event.onset, event.offset, columns[event.category]) for event in one.events or ()]
            for one in self.recordings
        ]

    @property
    def labels(self) -> list[Label]:
        """One label a category: the AudioSet class where there is one, else a label of its own."""
        return [label_for(name) for name in self.categories]

    def load(self, rate: int) -> list[Samples]:
        """Every recording in memory, mono at `rate`: an hour is 230 MB at 16 kHz."""
        return [samples_of(one, rate) for one in tqdm(self.recordings, "reading", disable=not sys.stderr.isatty())]

    def choose(self, indices: Sequence[int] | npt.NDArray[np.integer]) -> "Dataset":
        """The same classes, only these recordings."""
        return replace(self, recordings=[self.recordings[int(index)] for index in indices])


def _digest(recordings: Sequence[Recording]) -> str:
    """Of what is known of recordings, but where they are."""
    digest = hashlib.sha256()
    for one in recordings:
        facts = (one.path.name, one.labels, one.part, one.seconds, one.inside, one.sketch, one.events)
        digest.update(repr(facts).encode())
    return digest.hexdigest()[:9]


def with_sound(dataset: Dataset) -> Dataset:
    """Without recordings in which nothing can be heard, because they are empty or of a few milliseconds.

    Each is named on standard error. Raises WrongUse where that leaves a class without any recording.
    """
    lengths = [length_of(one) for one in dataset.recordings]
    kept = [index for index, seconds in enumerate(lengths) if seconds is None or seconds >= SHORTEST]
    for one, seconds in zip(dataset.recordings, lengths, strict=True):
        if seconds is not None and seconds < SHORTEST:
            print(f"{one.path}: left out, it has {seconds:.3f} s of audio", file=sys.stderr)
    left = dataset.choose(kept)
    if gone := set(dataset.categories) - {label for one in left.recordings for label in one.labels}:
        was = {label for one in dataset.recordings for label in one.labels}
        if empty := sorted(gone & was):
            raise WrongUse(f"{dataset.name}: every recording of {empty[0]!r} is empty or shorter than {SHORTEST:g} s")
    return left


def without_problems(dataset: Dataset, problems: Mapping[int, str]) -> Dataset:
    """Without the recordings that have a problem, by number; each is named on standard error.

    Raises WrongUse where that leaves a class without any recording, or fewer than half of all.
    """
    for index, reason in problems.items():
        print(f"{dataset.recordings[index].shown}: left out: {reason}", file=sys.stderr)
    left = dataset.choose([index for index in range(len(dataset.recordings)) if index not in problems])
    gone = {name for one in dataset.recordings for name in one.labels}
    gone -= {name for one in left.recordings for name in one.labels}
    count = len(problems)
    if gone:
        raise WrongUse(f"{dataset.name}: no recording of {min(gone)!r} can be learnt from; {count} are left out")
    if 2 * count > len(dataset.recordings):
        raise WrongUse(f"{dataset.name}: {count} of {len(dataset.recordings)} recordings cannot be learnt from (above)")
    return left


def split_by_group(dataset: Dataset, share: float, seed: int, force: bool = False) -> tuple[list[int], list[int]]:
    """Indices of (the rest, about `share` of the recordings) that have no group in common.

    Groups are drawn so that each class gives about its share, rare classes first; the rest keeps at least one group of
    every class. Raises WrongUse if groups are not known, unless `force` takes every file for one.
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
    # Recordings of each class in each group; negatives are split like a class.
    of_group: dict[str, Counter[str]] = {group: Counter() for group in order}
    for one, group in zip(dataset.recordings, groups, strict=True):
        of_group[group].update(set(one.labels) or {""})
    totals: Counter[str] = Counter()
    for counts in of_group.values():
        totals.update(counts)
    left = Counter(category for counts in of_group.values() for category in counts)
    with_category: dict[str, list[str]] = {category: [] for category in totals}
    for group in order:
        for category in of_group[group]:
            with_category[category].append(group)
    held: set[str] = set()
    for category in sorted(totals, key=lambda category: (left[category], category)):
        have = sum(of_group[group][category] for group in with_category[category] if group in held)
        for group in with_category[category]:
            size = of_group[group][category]
            last = any(left[other] == 1 for other in of_group[group])
            if group in held or last or 2 * size > totals[category]:
                continue
            if have and have + size / 2 > share * totals[category]:
                break
            held.add(group)
            left.subtract(dict.fromkeys(of_group[group], 1))
            have += size
    rest = [index for index, group in enumerate(groups) if group not in held]
    return rest, [index for index, group in enumerate(groups) if group in held]


def is_held_out(recording: Recording, share: float) -> bool:
    """Whether the recording's group is in the validation set: a fixed `share` (0 to 1) of all groups, by their hash."""
    digest = hashlib.sha256(recording.origin.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
