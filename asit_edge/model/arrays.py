"""Arrays of a bundle's npz files."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asit_edge.errors import AsitEdgeError, one_line


def read_arrays(file: Path, names: Iterable[str], otherwise: str) -> list[npt.NDArray[np.float32]]:
    """Arrays of an npz file, by name. Raises AsitEdgeError, in the words of `otherwise`, where they are not there."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            return [stored[name] for name in names]
    except Exception as error:  # of damaged files NumPy raises what zip, zlib, its parser and its memory do
        raise AsitEdgeError(f"{file}: {otherwise} ({one_line(error)})") from None


def array_names(file: Path) -> list[str]:
    """Of the arrays in an npz file; none where it cannot be read."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            return list(stored.files)
    except Exception:  # as above
        return []
