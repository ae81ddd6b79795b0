"""Real audio to calibrate and judge exported models with: any folder of recordings, labelled or not.

What calibrates is kept apart from what judges: by fold where the data has folds, else by the recording that clips were
cut from, else by file.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asit_edge.errors import WrongUse
from asit_edge.model.frontend import FrontEnd
from trainer.data.dataset import Dataset, load_clip
from trainer.data.layouts import folder as own_data
from trainer.data.layouts.esc50 import esc50_table, read_esc50
from trainer.data.listing import list_sources

LONGEST = 30.0
"""Seconds of a recording that are used."""


@dataclass(frozen=True)
class Recording:
    """A file, what it is said to be (None: nobody said), and whether it judges or calibrates."""

    path: Path
    label: str | None
    judges: bool
    start: float = 0.0
    seconds: float | None = None

    def samples(self, front_end: FrontEnd) -> npt.NDArray[np.float32]:
        """Mono at the model's rate, shape (n,)."""
        seconds = min(self.seconds or LONGEST, LONGEST)
        return load_clip(self.path, front_end.sample_rate, self.start, seconds)


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
    """At most that many recordings, evenly taken from a folder. WrongUse if there are too few.

    The first fold calibrates where there are folds (the ESC-50 layout); elsewhere every fourth recording does. Labels
    are those of the ESC-50 layout or of a table that `trainer.data.layouts.folder` knows.
    """
    if esc50_table(folder) is not None:
        recordings = _labelled(read_esc50(folder))
    elif any((folder / name).is_file() for name in own_data.TABLES):
        recordings = _labelled(own_data.read(folder))
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


def _labelled(dataset: Dataset) -> list[Recording]:
    folds = dataset.folds
    order = {group: index for index, group in enumerate(dict.fromkeys(dataset.groups))}
    return [
        Recording(
            clip.path,
            clip.categories[0] if len(clip.categories) == 1 else None,
            clip.fold != folds[0] if len(folds) > 1 else order[group] % 4 > 0,
            clip.start,
            clip.seconds,
        )
        for clip, group in zip(dataset.clips, dataset.groups, strict=True)
    ]
