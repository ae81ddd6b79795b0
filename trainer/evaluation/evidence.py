"""How much a number of recordings can show, and the words for where it is too little."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainer.data.dataset import Dataset

FEW = 10
"""Recordings of a class below which a figure is a hint: ten that are all right may still be 69 % in truth."""

NEGATIVES = "negatives"

NAMED = 12
"""Classes that are named, at most."""


@dataclass(frozen=True)
class Evidence:
    """What there is of one class; of clips without any class, as `NEGATIVES`."""

    label: str
    recordings: int
    """Independent ones: clips of one group count once."""
    clips: int

    def __str__(self) -> str:
        if not self.recordings:
            return f"{self.label}: none, nothing is known"
        clips = f" ({self.clips} clips)" if self.clips != self.recordings else ""
        return f"{self.label}: {plural(self.recordings)}{clips}, {100 * least_share(self.recordings):.0f} to 100 %"


def least_share(recordings: int) -> float:
    """Lower end of the 95 % interval (Clopper and Pearson) of a share where so many recordings were all right."""
    return float(0.025 ** (1 / recordings)) if recordings else 0.0


def evidence(dataset: Dataset) -> list[Evidence]:
    """Of every class, and of negatives where there are any."""
    groups: dict[str, list[str]] = {name: [] for name in dataset.categories}
    for one, group in zip(dataset.recordings, dataset.groups, strict=True):
        for name in set(one.labels) or {NEGATIVES}:
            groups.setdefault(name, []).append(group)
    return [Evidence(name, len(set(own)), len(own)) for name, own in groups.items()]


def too_little(found: Sequence[Evidence]) -> list[Evidence]:
    """Those with fewer recordings than a figure needs, fewest first."""
    return sorted((one for one in found if one.recordings < FEW), key=lambda one: one.recordings)


def warnings(part: str, found: Sequence[Evidence], use: str, remedy: str = "") -> list[str]:
    """Lines that say where a part (test, validation) has too little for its `use`, what then is known, and what helps.

    `remedy` is what helps besides more recordings.
    """
    few = too_little(found)
    if not few:
        return []
    rows = [f"  {one}" for one in few[:NAMED]]
    rows += [f"  and {len(few) - NAMED} more"] if len(few) > NAMED else []
    return [
        f"{part} is tiny: {len(few)} of {len(found)} classes have fewer than {FEW} recordings, and {use}; "
        "if all of them come out right, the true share is (95 % interval)",
        *rows,
        f"record more of these, in other places and on other days{remedy}",
    ]


def single_recordings(dataset: Dataset) -> list[str]:
    """A line that names the classes of which there is one recording only, if there are any."""
    once = [one.label for one in evidence(dataset) if one.recordings == 1]
    if not once:
        return []
    return [
        f"one recording only: {listing(once)}; it can be trained on or tested on, not both, so nothing will say "
        "whether it is told: record it once more at the least, in another place or on another day"
    ]


def weak_thresholds(thresholds: Mapping[str, Sequence[float]], found: Sequence[Evidence], default: float) -> list[str]:
    """A line that names the thresholds, label to [on, off], that rest on few recordings, if there are any."""
    few = [one for one in too_little(found) if one.label != NEGATIVES]
    said = [
        f"{one.label} {thresholds[one.label][0]:g} ({plural(one.recordings)})"
        if one.label in thresholds
        else f"{one.label} {default:g} ({plural(one.recordings)}, the default)"
        for one in few
    ]
    return [f"thresholds are guesses where they rest on little: {listing(said)}"] if said else []


def listing(words: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(words) - NAMED} more" if len(words) > NAMED else ""
    return ", ".join(words[:NAMED]) + more


def plural(recordings: int) -> str:
    return f"{recordings} recording{'s' if recordings != 1 else ''}"
