"""A pool of scenes on disk: waveforms and what the teachers say of them, made once and learnt from many times.

Teachers take longer over a scene than a small student; kept, their answers serve every student, seed and comparison.
A pool is a folder: `pool.json` (labels, lengths, what it was made of) and, of so many scenes each, `NNNNN.audio.npy`
(scenes, samples; int16) and `NNNNN.targets.npy` (scenes, steps, labels; float16). The n-th scene of a seed is always
the same one, so making a pool goes on where it was stopped.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.data.decode import FULL_SCALE
from trainer.data.scenes import SceneSampler, Targets

SCENES = 64
"""Scenes of a file."""

POOL = "pool.json"


@dataclass(frozen=True)
class ScenePool:
    """Scenes that are there. `about` says what they were made of."""

    folder: Path
    labels: list[str]
    shards: int
    about: dict[str, Any]

    def __len__(self) -> int:
        return self.shards * SCENES

    def scene(self, number: int) -> tuple[Samples, Targets]:
        """Waveform (samples,) and targets (steps, labels)."""
        shard, row = divmod(number, SCENES)
        audio, targets = (np.load(file, mmap_mode="r") for file in files_of(self.folder, shard))
        return audio[row] / np.float32(FULL_SCALE), targets[row].astype(np.float32)

    def chosen(self, seed: int, places: Sequence[int]) -> list[int]:
        """The scenes to learn from at these places of a run: all of them, shuffled anew every time round."""
        turns = {place // len(self) for place in places}
        shuffled = {turn: np.random.default_rng((seed, turn)).permutation(len(self)) for turn in turns}
        return [int(shuffled[place // len(self)][place % len(self)]) for place in places]


def files_of(folder: Path, shard: int) -> tuple[Path, Path]:
    return folder / f"{shard:05d}.audio.npy", folder / f"{shard:05d}.targets.npy"


def open_pool(folder: Path) -> ScenePool:
    """Raises WrongUse where there is none, AsitEdgeError where it cannot be read."""
    file = folder / POOL
    if not file.is_file():
        raise WrongUse(f"{folder}: no pool of scenes (no {POOL}); make one with python -m trainer.scenes {folder}")
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        labels = [str(name) for name in about["labels"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise AsitEdgeError(f"{file}: cannot be read; make the pool anew") from None
    shards = 0
    while all(one.is_file() for one in files_of(folder, shards)):
        shards += 1
    if not shards:
        raise WrongUse(f"{folder}: its first {SCENES} scenes are not made yet; let python -m trainer.scenes go on")
    return ScenePool(folder, labels, shards, about)


def write_pool(
    folder: Path,
    sampler: SceneSampler,
    teach: Callable[[Samples], Targets],
    about: dict[str, Any],
    count: int,
    seed: int,
    share: tuple[int, int] = (0, 1),
) -> None:
    """Makes the scenes that are missing of the first `count`, a whole number of files.

    `share` (k, n): only every n-th file, from the k-th on, so that n processes make one pool. Raises WrongUse where the
    folder holds a pool of something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / POOL
    text = json.dumps(about, indent=1)
    if file.is_file() and json.loads(file.read_text(encoding="utf-8")) != json.loads(text):
        raise WrongUse(f"{folder}: holds scenes made of something else; name a new folder")
    file.write_text(text, encoding="utf-8")
    mine = range(share[0], -(-count // SCENES), share[1])
    for shard in tqdm(mine, f"{SCENES} scenes each", file=sys.stderr, mininterval=30):
        targets = [path for path in files_of(folder, shard) if not path.is_file()]
        if not targets:
            continue
        scenes = [_scene(sampler, teach, seed, shard * SCENES + row) for row in range(SCENES)]
        audio, said = (np.stack(part) for part in zip(*scenes, strict=True))
        for path, values in zip(files_of(folder, shard), (audio, said), strict=True):
            _save(path, values)


def _scene(
    sampler: SceneSampler, teach: Callable[[Samples], Targets], seed: int, number: int
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float16]]:
    waveform, certain = sampler.scene(np.random.default_rng((seed, number)))
    targets = np.maximum(certain, teach(waveform))
    return (waveform * FULL_SCALE).round().astype(np.int16), targets.astype(np.float16)


def _save(path: Path, values: npt.NDArray[Any]) -> None:
    aside = path.with_name(f"{path.name}.part")
    with aside.open("wb") as out:
        np.save(out, values)
    aside.replace(path)
