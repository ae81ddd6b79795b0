"""AudioSet as published: Google's csv files and a folder of clips, `audio/` or any depth (`ID.*`, `YID.*`, `ID_*.*`).

20K trains on the balanced segments, 2M on those and the unbalanced ones; both are tested on the evaluation segments.
Clips that YouTube no longer has are missing in everyone's copy: they are left out and counted.
"""

import sys
from pathlib import Path

from asit_edge.errors import WrongUse
from trainer.data.audioset import audioset_ids
from trainer.data.dataset import TEST, TRAIN, Clip, Dataset
from trainer.data.listing import list_sources

BALANCED, UNBALANCED, EVALUATION = (
    "balanced_train_segments.csv",
    "unbalanced_train_segments.csv",
    "eval_segments.csv",
)


def read_20k(root: Path) -> Dataset:
    return _read(root, (BALANCED,))


def read_2m(root: Path) -> Dataset:
    return _read(root, (BALANCED, UNBALANCED))


def _read(root: Path, train: tuple[str, ...]) -> Dataset:
    names = {mid: name for name, mid in audioset_ids().items()}
    clips: dict[str, Clip] = {}
    missing = 0
    for table, part in [*((table, TRAIN) for table in train), (EVALUATION, TEST)]:
        if not (root / table).is_file():
            raise WrongUse(f"{root}: no {table}; --data must have AudioSet's csv files beside its clips")
        for source in list_sources(root, root / table, {}):
            if source.path is None:
                missing += 1
                continue
            try:
                labels = tuple(dict.fromkeys(names[mid] for mid in source.labels))
            except KeyError as error:
                raise WrongUse(f"{root / table}: {source.name} has the unknown label {error}") from None
            clips[source.name] = Clip(source.path, labels, source.name, part)
    if missing:
        print(f"{root}: {missing} clips of the tables are not there and are left out", file=sys.stderr)
    if {clip.part for clip in clips.values()} != {TRAIN, TEST}:
        raise WrongUse(f"{root}: has no clips to train on, or none to test on")
    return Dataset(root.name, list(clips.values()), list(audioset_ids()), single_label=False)
