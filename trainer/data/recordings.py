"""Recordings on disk, labelled or not, as distillation uses them: whose, labelled by whom, decoded once.

A collection is anything that `trainer.data.layouts` reads; a recording's name is its collection's folder and its path
there. A column `sharealike` in a collection's `manifest.csv` marks recordings whose licence weights would have to
follow.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainer.data.dataset import StrongLabel, load_clip
from trainer.run.cache import computed_once

FULL_SCALE = 32767.0

Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Recording:
    """`labels` are AudioSet display names, none where nobody said; what shares a `group` must share a split."""

    path: Path
    name: str
    labels: tuple[str, ...]
    group: str
    fold: int | None = None
    events: tuple[StrongLabel, ...] | None = None
    """None: the labels are of the whole recording."""
    sharealike: bool = False

    @property
    def label(self) -> str:
        """The first label, empty where there is none."""
        return self.labels[0] if self.labels else ""


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
    computed_once(index, lambda: _decode(recordings, rate, file, index))
    return Waveforms(file, np.load(index))


def _decode(recordings: Sequence[Recording], rate: int, file: Path, index: Path) -> None:
    """All samples, one recording after the other, into `file`; then into `index` where each one begins."""
    lengths = [0]
    aside = file.with_suffix(".part")
    with aside.open("wb") as out:
        for recording in recordings:
            samples = load_clip(recording.path, rate)
            out.write((samples.clip(-1, 1) * FULL_SCALE).round().astype(np.int16).tobytes())
            lengths.append(len(samples))
    aside.replace(file)
    aside = index.with_suffix(".part.npy")
    np.save(aside, np.cumsum(lengths, dtype=np.int64))
    aside.replace(index)
