"""Real audio to calibrate and judge exported models with: any folder of recordings, labelled or not.

What calibrates is kept apart from what judges: by fold where the data has folds, else by the group that recordings were
cut from, else by file.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asit_edge.audio.samples import Samples
from asit_edge.errors import WrongUse
from asit_edge.model.front_ends import AnyFrontEnd
from trainer.data.dataset import Dataset
from trainer.data.decode import decode
from trainer.data.layouts.detect import read_any
from trainer.data.layouts.esc50 import esc50_table
from trainer.data.layouts.folder import TABLES
from trainer.data.layouts.listing import Missing, list_recordings
from trainer.data.recording import Recording

LONGEST = 30.0
"""Seconds of a recording that are used."""


@dataclass(frozen=True)
class Audio:
    """Recordings for one model, and in words what they are."""

    name: str
    calibrating: list[Recording]
    judging: list[Recording]


def read_audio(folder: Path, most: int) -> Audio:
    """At most that many recordings, evenly taken from a folder. WrongUse if there are too few.

    The first fold calibrates where there are folds (the ESC-50 layout); elsewhere every fourth recording does. Labels
    are those of the ESC-50 layout or of a table that `trainer.data.layouts.folder` knows.
    """
    if esc50_table(folder) is not None or any((folder / name).is_file() for name in TABLES):
        split = _split(read_any(folder))
    else:
        listed = list_recordings(folder, None, {})
        split = [(one, index % 4 > 0) for index, one in enumerate(listed) if not isinstance(one, Missing)]
    if len(split) > most:
        split = [split[index] for index in np.linspace(0, len(split) - 1, most).round().astype(int)]
    calibrating, judging = ([one for one, judges in split if judges is wanted] for wanted in (False, True))
    if not calibrating or len(judging) < 3:
        raise WrongUse(f"{folder}: has {len(split)} usable recording(s); calibrating and judging need more")
    return Audio(folder.resolve().name, calibrating, judging)


def _split(dataset: Dataset) -> list[tuple[Recording, bool]]:
    """Each recording, and whether it judges."""
    folds = dataset.folds
    order = {group: index for index, group in enumerate(dict.fromkeys(dataset.groups))}
    return [(one, one.fold != folds[0] if len(folds) > 1 else order[one.origin] % 4 > 0) for one in dataset.recordings]


def samples_for(recording: Recording, front_end: AnyFrontEnd) -> Samples:
    """What is used of a recording, mono at the model's rate, shape (n,)."""
    return decode(recording.path, front_end.sample_rate, recording.start, min(recording.seconds or LONGEST, LONGEST))


def only_label(recording: Recording) -> str | None:
    """What a recording is said to be; None where nobody said, or where it is several things."""
    return recording.label if len(recording.labels) == 1 else None
