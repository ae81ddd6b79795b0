"""Checkpoints that stay: every so often one, to go back to, and the best one. They cost no second writing."""

import os
from pathlib import Path

from trainer.run.files import write_whole

KEPT = "kept"


def keep(checkpoint: Path, name: str) -> Path:
    """The checkpoint as it is now, also under `kept/NAME` beside it: the same bytes on disk, until it is replaced.

    Raises AsitEdgeError where the disk is full.
    """
    kept = checkpoint.parent / KEPT / f"{name}{''.join(checkpoint.suffixes)}"
    kept.parent.mkdir(exist_ok=True)
    aside = kept.with_name(f"{kept.name}.part")
    aside.unlink(missing_ok=True)
    try:
        os.link(checkpoint, aside)
        aside.replace(kept)
    except OSError:  # a file system without links, such as a USB stick's
        write_whole(kept, checkpoint.read_bytes())
    return kept
