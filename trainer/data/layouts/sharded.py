"""Clips of shards that `trainer.prepare` made, as recordings: read from the index, each at its place in its tar."""

from pathlib import Path

import numpy as np

from asit_edge.errors import WrongUse
from trainer.data.decode import SHARD_RATE
from trainer.data.recording import Recording
from trainer.data.shards.index import INDEX, read_index


def read_shards(folder: Path) -> list[Recording]:
    """The clips of a folder, of a recording that was cut into pieces only the first.

    Raises WrongUse where the folder has no index, or is not what that says.
    """
    index = read_index(folder)
    if index is None:
        raise WrongUse(f"{folder}: has no {INDEX}; make one with python -m trainer.shards {folder} --write")
    index.check()
    paths = np.repeat(np.array([str(folder / name) for name in index.names]), index.counts)
    found = []
    for number, (source, piece, labels) in enumerate(index.about):
        if piece:
            continue
        offset, size = index.places[number]
        sketch = index.sketches[number].tobytes() if len(index.sketches) else b""
        found.append(
            Recording(
                Path(paths[number]),
                labels,
                source,
                seconds=float(index.samples[number]) / SHARD_RATE,
                inside=(int(offset), int(size)),
                sketch=sketch,
                name=source,
            )
        )
    return found
