"""Data in the public ESC-50 layout: `meta/esc50.csv` (or `esc10.csv`) and `audio/`, split into folds by its authors.

Clips of one source recording are all in one fold; splitting by fold keeps test recordings unseen.
"""

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from tqdm import tqdm

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.labels import Label
from trainer.audioset import label_for

AUDIOSET_NAMES = {
    "dog": "Dog",
    "rooster": "Crowing, cock-a-doodle-doo",
    "rain": "Rain",
    "sea_waves": "Waves, surf",
    "crackling_fire": "Fire",
    "crying_baby": "Baby cry, infant cry",
    "sneezing": "Sneeze",
    "clock_tick": "Tick-tock",
    "helicopter": "Helicopter",
    "chainsaw": "Chainsaw",
}
"""ESC-10 categories by the AudioSet class that says the same."""


@dataclass(frozen=True)
class Clip:
    path: Path
    fold: int
    category: str


@dataclass(frozen=True)
class Esc50:
    """A listed data set; `categories` gives the order of the classes."""

    clips: list[Clip]
    categories: list[str]

    @property
    def folds(self) -> list[int]:
        return sorted({clip.fold for clip in self.clips})

    @property
    def targets(self) -> npt.NDArray[np.float32]:
        """One-hot, (clips, categories)."""
        index = [self.categories.index(clip.category) for clip in self.clips]
        return np.eye(len(self.categories), dtype=np.float32)[index]

    def load(self, rate: int) -> list[npt.NDArray[np.float32]]:
        """Every clip in memory, mono at `rate`: ESC-50 is 640 MB at 16 kHz, ESC-10 a fifth of it."""
        return [load_clip(clip.path, rate) for clip in tqdm(self.clips, "reading", disable=not sys.stderr.isatty())]

    @property
    def labels(self) -> list[Label]:
        """One label a category: the AudioSet class where there is one, else the category's own name."""
        names = (AUDIOSET_NAMES.get(name, name.replace("_", " ").capitalize()) for name in self.categories)
        return [label_for(name) for name in names]


def read_esc50(root: Path) -> Esc50:
    """Lists the clips of a folder in the ESC-50 layout. Errors name the file, the line and the remedy."""
    tables = [path for name in ("esc50.csv", "esc10.csv") if (path := root / "meta" / name).is_file()]
    if not tables:
        raise WrongUse(f"{root}: no meta/esc50.csv (or meta/esc10.csv); --data must be a folder in the ESC-50 layout")
    with tables[0].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    clips: list[Clip] = []
    for line, row in enumerate(rows, start=2):
        try:
            clip = Clip(root / "audio" / row["filename"], int(row["fold"]), row["category"])
        except (KeyError, TypeError, ValueError) as error:
            raise WrongUse(f"{tables[0]}:{line}: needs filename, fold (a number) and category ({error})") from None
        clips.append(clip)
    if not clips:
        raise WrongUse(f"{tables[0]}: lists no clips")
    return Esc50(clips, sorted({clip.category for clip in clips}))


def load_clip(path: Path, rate: int) -> npt.NDArray[np.float32]:
    """A whole clip as mono float32 samples at `rate`."""
    try:
        audio, source_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise AsitEdgeError(f"{path}: cannot be read as audio ({error})") from None
    mono = audio.mean(axis=1)
    return soxr.resample(mono, source_rate, rate).astype(np.float32) if source_rate != rate else mono
