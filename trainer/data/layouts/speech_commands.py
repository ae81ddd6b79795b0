"""Speech Commands (arXiv 1804.03209) as published: `WORD/SPEAKER_nohash_N.wav` and the lists of the parts.

Version 2 is used with its 35 words. Version 1 is the task of 12 classes: ten words, `unknown` (clips of other words, a
tenth of the ten words' number) and `silence` (seconds of `_background_noise_`, as many). A recording is a speaker.
"""

import hashlib
from collections import Counter
from pathlib import Path

import soundfile

from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.data.dataset import TEST, TRAIN, VALIDATION, Clip, Dataset

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN, SILENCE = "unknown", "silence"
NOISE = "_background_noise_"
EXTRA_SHARE = 0.1
"""`unknown` and `silence` clips, each as a share of the ten words' clips of the same part."""


def read_v2(root: Path) -> Dataset:
    """All words, one class each."""
    clips = _words(root)
    return Dataset(root.name, clips, sorted({clip.categories[0] for clip in clips}))


def read_v1(root: Path) -> Dataset:
    """Ten words, unknown and silence."""
    clips = _words(root)
    wanted = [clip for clip in clips if clip.categories[0] in WORDS]
    other = sorted((clip for clip in clips if clip.categories[0] not in WORDS), key=_draw)
    budget = {part: max(round(EXTRA_SHARE * count), 1) for part, count in Counter(clip.part for clip in wanted).items()}
    chosen = list(wanted)
    for part, count in budget.items():
        unknown = [clip for clip in other if clip.part == part][:count]
        chosen += [Clip(clip.path, (UNKNOWN,), clip.group, part) for clip in unknown]
    chosen += _silence(root / NOISE, {str(part): count for part, count in budget.items()})
    return Dataset(root.name, chosen, [*WORDS, UNKNOWN, SILENCE])


def _words(root: Path) -> list[Clip]:
    parts: dict[str, str] = {}
    for name, part in (("validation_list.txt", VALIDATION), ("testing_list.txt", TEST)):
        if not (root / name).is_file():
            raise WrongUse(f"{root}: no {name}; --data must be Speech Commands as published")
        parts |= dict.fromkeys((root / name).read_text(encoding="utf-8").split(), part)
    clips = []
    for folder in sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(("_", "."))):
        for file in sorted(folder.glob("*.wav")):
            part = parts.get(f"{folder.name}/{file.name}", TRAIN)
            clips.append(Clip(file, (folder.name,), file.stem.partition("_nohash_")[0], part))
    if not clips:
        raise WrongUse(f"{root}: no WORD/*.wav")
    return clips


def _silence(folder: Path, budget: dict[str, int]) -> list[Clip]:
    """Seconds of noise: the last recording is for the test, the one before for validation, the others for training."""
    files = sorted(folder.glob("*.wav"))
    if len(files) < 3:
        raise WrongUse(f"{folder}: needs three recordings or more, for training, validation and test")
    of_part = {TRAIN: files[:-2], VALIDATION: files[-2:-1], TEST: files[-1:]}
    clips = []
    for part, count in budget.items():
        for number in range(count):
            file = of_part[part][number % len(of_part[part])]
            start = int(_hash(f"{file.name}/{number}") % max(int((_seconds(file) - 1) * 100), 1)) / 100
            clips.append(Clip(file, (SILENCE,), file.name, part, start=start, seconds=1.0))
    return clips


def _seconds(file: Path) -> float:
    try:
        return float(soundfile.info(file).duration)
    except (OSError, soundfile.SoundFileError) as error:
        raise AsitEdgeError(f"{file}: cannot be read as audio ({error})") from None


def _draw(clip: Clip) -> int:
    return _hash(f"{clip.path.parent.name}/{clip.path.name}")


def _hash(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)
