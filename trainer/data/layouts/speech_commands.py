"""Speech Commands (arXiv 1804.03209) as published: `WORD/SPEAKER_nohash_N.wav` and the lists of the parts.

Version 2 is used with its 35 words. Version 1 is the task of 12 classes: ten words, `unknown` (clips of other words, a
tenth of the ten words' number) and `silence` (seconds of `_background_noise_`, as many). A recording is a speaker.
"""

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

from asit_edge.errors import WrongUse
from trainer.data.dataset import TEST, TRAIN, VALIDATION, Dataset
from trainer.data.decode import duration
from trainer.data.recording import Recording

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN, SILENCE = "unknown", "silence"
NOISE = "_background_noise_"
EXTRA_SHARE = 0.1
"""`unknown` and `silence` clips, each as a share of the ten words' clips of the same part."""


def read_v2(root: Path) -> Dataset:
    """All words, one class each."""
    words = _words(root)
    return Dataset(root.name, words, sorted({one.label for one in words}))


def read_v1(root: Path) -> Dataset:
    """Ten words, unknown and silence."""
    words = _words(root)
    wanted = [one for one in words if one.label in WORDS]
    other = sorted((one for one in words if one.label not in WORDS), key=_draw)
    budget = {part: max(round(EXTRA_SHARE * count), 1) for part, count in Counter(one.part for one in wanted).items()}
    chosen = list(wanted)
    for part, count in budget.items():
        unknown = [one for one in other if one.part == part][:count]
        chosen += [replace(one, labels=(UNKNOWN,)) for one in unknown]
    chosen += _silence(root / NOISE, {str(part): count for part, count in budget.items()})
    return Dataset(root.name, chosen, [*WORDS, UNKNOWN, SILENCE])


def _words(root: Path) -> list[Recording]:
    parts: dict[str, str] = {}
    for name, part in (("validation_list.txt", VALIDATION), ("testing_list.txt", TEST)):
        if not (root / name).is_file():
            raise WrongUse(f"{root}: no {name}; --data must be Speech Commands as published")
        parts |= dict.fromkeys((root / name).read_text(encoding="utf-8").split(), part)
    recordings = []
    for folder in sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(("_", "."))):
        for file in sorted(folder.glob("*.wav")):
            part = parts.get(f"{folder.name}/{file.name}", TRAIN)
            recordings.append(Recording(file, (folder.name,), file.stem.partition("_nohash_")[0], part))
    if not recordings:
        raise WrongUse(f"{root}: no WORD/*.wav")
    return recordings


def _silence(folder: Path, budget: dict[str, int]) -> list[Recording]:
    """Seconds of noise: the last recording is for the test, the one before for validation, the others for training."""
    files = sorted(folder.glob("*.wav"))
    if len(files) < 3:
        raise WrongUse(f"{folder}: needs three recordings or more, for training, validation and test")
    of_part = {TRAIN: files[:-2], VALIDATION: files[-2:-1], TEST: files[-1:]}
    recordings = []
    for part, count in budget.items():
        for number in range(count):
            file = of_part[part][number % len(of_part[part])]
            start = int(_hash(f"{file.name}/{number}") % max(int((duration(file) - 1) * 100), 1)) / 100
            recordings.append(Recording(file, (SILENCE,), file.name, part, start=start, seconds=1.0))
    return recordings


def _draw(recording: Recording) -> int:
    return _hash(f"{recording.path.parent.name}/{recording.path.name}")


def _hash(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)
