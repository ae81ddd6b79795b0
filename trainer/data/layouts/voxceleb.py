"""VoxCeleb1 for speaker identification as published: `iden_split.txt` and `wav/SPEAKER/VIDEO/N.wav` (1,251 speakers).

A clip's recording is the video that it was cut from. The publisher's split is by clip within speakers.
"""

from pathlib import Path

from asit_edge.errors import WrongUse
from trainer.data.dataset import TEST, TRAIN, VALIDATION, Dataset
from trainer.data.recording import Recording

PARTS = {"1": TRAIN, "2": VALIDATION, "3": TEST}


def read(root: Path) -> Dataset:
    """The utterances of `iden_split.txt`. Raises WrongUse that names a wrong line, or one whose file is not there."""
    table = root / "iden_split.txt"
    if not table.is_file():
        raise WrongUse(f"{root}: no iden_split.txt; --data must be VoxCeleb1 as published, with that file beside wav/")
    recordings = []
    for number, line in enumerate(table.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        part, _, name = line.strip().partition(" ")
        pieces = name.split("/")
        if part not in PARTS or len(pieces) != 3:
            raise WrongUse(f"{table}:{number}: must be 1, 2 or 3 and SPEAKER/VIDEO/N.wav")
        path = root / "wav" / name
        if not path.is_file():
            raise WrongUse(f"{table}:{number}: no file {path}")
        recordings.append(Recording(path, (pieces[0],), f"{pieces[0]}/{pieces[1]}", PARTS[part]))
    if not recordings:
        raise WrongUse(f"{table}: lists no clips")
    return Dataset(root.name, recordings, sorted({one.label for one in recordings}))
