"""Free Spoken Digit Dataset as published: `recordings/DIGIT_SPEAKER_N.wav` (or .flac), six speakers.

Digits are tested on speakers that were not heard in training: a fold is a speaker. Speakers are tested on the
publisher's test part, the takes 0 to 4 of every digit.
"""

import re
from pathlib import Path

from asit_edge.errors import WrongUse
from trainer.data.dataset import TEST, TRAIN, Dataset
from trainer.data.recording import Recording

TEST_TAKES = 5


def read_digits(root: Path) -> Dataset:
    """Keyword spotting: ten digits, one fold a speaker (in alphabetical order, from 1)."""
    takes = _takes(root)
    speakers = sorted({speaker for _, _, speaker, _ in takes})
    recordings = [
        Recording(path, (digit,), speaker, str(speakers.index(speaker) + 1)) for path, digit, speaker, _ in takes
    ]
    return Dataset(root.name, recordings, sorted({one.label for one in recordings}))


def read_speakers(root: Path) -> Dataset:
    """Speaker identification: every take is a recording of its own."""
    recordings = [
        Recording(path, (speaker,), path.stem, TEST if take < TEST_TAKES else TRAIN)
        for path, _, speaker, take in _takes(root)
    ]
    return Dataset(root.name, recordings, sorted({one.label for one in recordings}))


def _takes(root: Path) -> list[tuple[Path, str, str, int]]:
    """(path, digit, speaker, take) of every recording."""
    folder = root / "recordings"
    takes = []
    for path in sorted(folder.glob("*.*")) if folder.is_dir() else []:
        found = re.fullmatch(r"(\d)_([a-z]+)_(\d+)", path.stem)
        if found and path.suffix in (".wav", ".flac"):
            takes.append((path, found[1], found[2], int(found[3])))
    if not takes:
        raise WrongUse(f"{root}: no recordings/DIGIT_SPEAKER_N.wav; --data must be the Free Spoken Digit Dataset")
    return takes
