"""AudioSet in small: forty clips to train on and eight to test on, as published and as shards of `trainer.prepare`."""

from pathlib import Path

import numpy as np
import soundfile

from trainer.data.audioset import audioset_ids
from trainer.data.layouts.listing import list_recordings
from trainer.data.shards.index import read_index
from trainer.prepare import PrepareConfig, prepare_shards

RATE = 16_000
LABELS = ("Dog", "Rain")
TABLES = ("balanced_train_segments", "eval_segments")


def make_audioset(root: Path) -> Path:
    """Google's csv files and clips of a second: high hums ("Rain") and low ones ("Dog")."""
    (root / "clips").mkdir(parents=True)
    rng = np.random.default_rng(0)
    ids = audioset_ids()
    for table, prefix, count in zip(TABLES, "te", (40, 8), strict=True):
        rows = ["# YTID, start_seconds, end_seconds, positive_labels"]
        for number in range(count):
            name, label = f"{prefix}{number:010d}", LABELS[number % 2]
            partials = (300, 3_000)[number % 2] * 2 ** rng.uniform(-1, 1, (20, 1))
            hum = 0.02 * np.sin(2 * np.pi * partials * np.arange(RATE + number) / RATE).sum(axis=0)
            soundfile.write(root / "clips" / f"{name}.flac", hum, RATE)
            rows.append(f'{name}, 0.000, 10.000, "{ids[label]}"')
        (root / f"{table}.csv").write_text("\n".join(rows) + "\n")
    return root


def make_shards(published: Path, folder: Path) -> Path:
    """Shards of twenty clips, a folder a table."""
    for table in TABLES:
        recordings = list_recordings(published / "clips", published / f"{table}.csv", {})
        prepare_shards(recordings, folder / table, PrepareConfig(per_shard=20), 1)
    return folder


def damage(folder: Path, numbers: set[int]) -> set[str]:
    """Overwrites clips of shards with zeros where they lie; returns their sources."""
    index = read_index(folder)
    assert index is not None
    for number in numbers:
        shard = folder / index.names[number // 20]
        content = bytearray(shard.read_bytes())
        offset, size = index.places[number]
        content[offset : offset + size] = bytes(size)
        shard.write_bytes(content)
    return {index.about[number][0] for number in numbers}
