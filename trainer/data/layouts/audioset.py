"""AudioSet as published: Google's csv files and a folder of clips, `audio/` or any depth (`ID.*`, `YID.*`, `ID_*.*`).

Or as shards of `trainer.prepare`, one folder a table, named like it (`eval_segments/` for `eval_segments.csv`).

20K trains on the balanced segments, 2M on those and the unbalanced ones; both are tested on the evaluation segments.
Clips that YouTube no longer has are missing in everyone's copy: they are left out and counted.
"""

import sys
from dataclasses import replace
from pathlib import Path

from asit_edge.errors import WrongUse
from trainer.data.audioset import audioset_ids, names_by_id
from trainer.data.dataset import TEST, TRAIN, Dataset
from trainer.data.layouts.listing import Missing, list_recordings
from trainer.data.layouts.sharded import read_shards
from trainer.data.recording import Recording

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
    names = names_by_id()
    found: dict[str, Recording] = {}
    missing = 0
    for table, part in [*((table, TRAIN) for table in train), (EVALUATION, TEST)]:
        shards = root / Path(table).stem
        if not shards.is_dir() and not (root / table).is_file():
            raise WrongUse(
                f"{root}: no {table}; --data must have AudioSet's csv files beside its clips, or shards of each in a "
                f"folder named like it: python -m trainer.prepare CLIPS {shards} --table {table}"
            )
        for one in read_shards(shards) if shards.is_dir() else list_recordings(root, root / table, {}):
            if isinstance(one, Missing):
                missing += 1
                continue
            try:
                labels = tuple(dict.fromkeys(names[mid] for mid in one.labels))
            except KeyError as error:
                raise WrongUse(f"{root / table}: {one.name} has the unknown label {error}") from None
            found[one.name] = replace(one, labels=labels, group=one.name, part=part)
    if missing:
        print(f"{root}: {missing} clips of the tables are not there and are left out", file=sys.stderr)
    if {one.part for one in found.values()} != {TRAIN, TEST}:
        raise WrongUse(f"{root}: has no clips to train on, or none to test on")
    return Dataset(root.name, list(found.values()), list(audioset_ids()), single_label=False)
