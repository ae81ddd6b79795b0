"""Real audio to calibrate and judge exported models with: any folder of recordings, or one in the ESC-50 layout.

What calibrates is kept apart from what judges: by fold where the data has folds, else by file.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asit_edge.errors import WrongUse
from asit_edge.frontend import FrontEnd
from trainer.esc50 import load_clip, read_esc50
from trainer.sources import list_sources

LONGEST = 30
"""Seconds of a recording that are used."""


@dataclass(frozen=True)
class Recording:
    """A file, what it is said to be (None: nobody said), and whether it judges or calibrates."""

    path: Path
    label: str | None
    judges: bool

    def samples(self, front_end: FrontEnd) -> npt.NDArray[np.float32]:
        """Mono at the model's rate, shape (n,)."""
        return load_clip(self.path, front_end.sample_rate)[: LONGEST * front_end.sample_rate]


@dataclass(frozen=True)
class Audio:
    """Recordings for one model, and in words what they are."""

    name: str
    recordings: list[Recording]

    @property
    def calibrating(self) -> list[Recording]:
        return [recording for recording in self.recordings if not recording.judges]

    @property
    def judging(self) -> list[Recording]:
        return [recording for recording in self.recordings if recording.judges]


def read_audio(folder: Path, most: int) -> Audio:
    """At most that many recordings, evenly taken from a folder. WrongUse if there are not at least four.

    In the ESC-50 layout the first fold calibrates; elsewhere every fourth file does.
    """
    if (folder / "meta").is_dir():
        dataset = read_esc50(folder)
        first = dataset.folds[0]
        names = {category: label.name for category, label in zip(dataset.categories, dataset.labels, strict=True)}
        one_fold = len(dataset.folds) == 1
        recordings = [
            Recording(clip.path, names[clip.category], index % 4 > 0 if one_fold else clip.fold != first)
            for index, clip in enumerate(dataset.clips)
        ]
    else:
        sources = list_sources(folder, None, {})
        recordings = [
            Recording(source.path, None, index % 4 > 0) for index, source in enumerate(sources) if source.path
        ]
    if len(recordings) > most:
        chosen = np.linspace(0, len(recordings) - 1, most).round().astype(int)
        recordings = [recordings[index] for index in chosen]
    audio = Audio(folder.resolve().name, recordings)
    if not audio.calibrating or len(audio.judging) < 3:
        raise WrongUse(f"{folder}: has {len(recordings)} usable recording(s); calibrating and judging need more")
    return audio
