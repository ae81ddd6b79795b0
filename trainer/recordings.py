"""Recordings on disk, labelled or not, as distillation and detection training use them: who, where, split by what.

A collection is a folder with a `manifest.csv` (columns path and audioset_label; split_group, sharealike and attribution
where there are) or a folder in the ESC-50 layout. A recording's name is its collection's folder and its path there.
"""

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asit_edge.errors import WrongUse
from trainer.esc50 import AUDIOSET_NAMES, load_clip, read_esc50

MANIFEST = "manifest.csv"
FULL_SCALE = 32767.0

Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Recording:
    """`label` is an AudioSet display name, empty where nobody said; what shares a `group` must share a split."""

    path: Path
    name: str
    label: str
    group: str
    fold: int | None = None
    sharealike: bool = False


def read_recordings(root: Path) -> list[Recording]:
    """Lists a collection. Raises WrongUse, naming file and column, where it is none."""
    root = root.resolve()
    if (root / MANIFEST).is_file():
        return _read_manifest(root)
    dataset = read_esc50(root)
    return [
        Recording(
            path=clip.path,
            name=f"{root.name}/audio/{clip.path.name}",
            label=AUDIOSET_NAMES.get(clip.category, clip.category.replace("_", " ").capitalize()),
            group=f"{root.name}/{clip.path.name.split('-')[1] if '-' in clip.path.name else clip.path.name}",
            fold=clip.fold,
        )
        for clip in dataset.clips
    ]


def _read_manifest(root: Path) -> list[Recording]:
    with (root / MANIFEST).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    recordings = []
    for line, row in enumerate(rows, start=2):
        if not row.get("path") or row.get("audioset_label") is None:
            raise WrongUse(f"{root / MANIFEST}:{line}: needs the columns path and audioset_label")
        inner = row["path"] if row["path"].startswith("audio/") else f"audio/{row['path']}"
        if not (root / inner).is_file() and (root / row["path"]).is_file():
            inner = row["path"]
        recordings.append(
            Recording(
                path=root / inner,
                name=f"{root.name}/{inner}",
                label=row["audioset_label"],
                group=f"{root.name}/{row.get('split_group') or row['path']}",
                sharealike=(row.get("sharealike") or "0") != "0",
            )
        )
    return recordings


def is_held_out(recording: Recording, share: float) -> bool:
    """Whether the recording's group is in the validation set: a fixed `share` (0 to 1) of all groups, by their hash."""
    digest = hashlib.sha256(recording.group.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


class Waveforms:
    """Mono int16 audio of many recordings at one rate, in one file that processes share by mapping it."""

    def __init__(self, file: Path, starts: npt.NDArray[np.int64]) -> None:
        self.file, self.starts = file, starts
        self._samples: Pcm | None = None

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Pcm:
        if self._samples is None:
            self._samples = np.memmap(self.file, np.int16, mode="r")
        return self._samples[self.starts[index] : self.starts[index + 1]]

    def __getstate__(self) -> dict[str, object]:
        return {"file": self.file, "starts": self.starts, "_samples": None}


def load_waveforms(recordings: Sequence[Recording], rate: int, cache: Path) -> Waveforms:
    """Every recording, decoded once into the folder `cache` and read from there the next time.

    The key is what the list names, with sizes and times of change, so another list or a changed file is decoded anew.
    """
    facts = [
        (recording.name, recording.path.stat().st_size, recording.path.stat().st_mtime_ns) for recording in recordings
    ]
    key = hashlib.sha256(json.dumps([rate, facts]).encode()).hexdigest()[:16]
    file, index = cache / f"{key}.s16", cache / f"{key}.npy"
    if not index.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        lengths = [0]
        aside = file.with_suffix(".part")
        with aside.open("wb") as out:
            for recording in recordings:
                samples = load_clip(recording.path, rate)
                out.write((samples.clip(-1, 1) * FULL_SCALE).round().astype(np.int16).tobytes())
                lengths.append(len(samples))
        aside.replace(file)
        np.save(index, np.cumsum(lengths, dtype=np.int64))
    return Waveforms(file, np.load(index))
