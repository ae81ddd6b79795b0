"""The clips of shards, one read each at its place.

Where they are says the index beside the shards; without one the headers of all tars are read once.
"""

import io
import logging
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.data.decode import UNREADABLE, read_mono
from trainer.data.shards.index import AUDIO, read_index

log = logging.getLogger(__name__)

_TAR_BLOCK = 512


class Shards:
    """The examples of one or more folders of tars; indices run over all of them in the order of the files."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Raises WrongUse where there is no example, or where a folder is not what its index says. Without an index a
        damaged tar is warned of and used up to the damage."""
        self.paths: list[Path] = []
        self.counts: list[int] = []
        """Examples of each shard."""
        self._hashes: list[str] = []
        self._folders: list[int] = []
        places: list[npt.NDArray[np.int64]] = []
        for number, folder in enumerate(folders):
            if not folder.is_dir():
                raise WrongUse(f"{folder}: no such folder; make shards with python -m trainer.prepare")
            found = sorted(folder.glob("*.tar"))
            index = read_index(folder)
            if index is not None:
                index.check()
                found = [folder / name for name in index.names]
                places.append(index.places)
                self.counts += index.counts
                self._hashes += index.hashes
            else:
                scanned = [_places(path) for path in found]
                places += scanned
                self.counts += [len(offsets) for offsets in scanned]
                self._hashes += [""] * len(found)
            if not found:
                raise WrongUse(f"{folder}: no shards (*.tar); make them with python -m trainer.prepare")
            self.paths += found
            self._folders += [number] * len(found)
        if not sum(self.counts):
            raise WrongUse(f"{', '.join(map(str, folders))}: the {len(self.paths)} shards hold no audio")
        self._places = np.concatenate(places)
        self._ends = np.cumsum(self.counts)

    @property
    def facts(self) -> dict[str, str]:
        """What must be the same wherever a run reads them, by shard: number of its folder and name, to what it has."""
        return {
            f"{folder}/{path.name}": f"{count} clips, {path.stat().st_size} bytes{digest and f', SHA-256 {digest[:9]}'}"
            for folder, path, count, digest in zip(self._folders, self.paths, self.counts, self._hashes, strict=True)
        }

    def __len__(self) -> int:
        return len(self._places)

    def name(self, index: int) -> str:
        """Shard and file of an example, for people."""
        path, offset, _ = self._place(index)
        with path.open("rb") as file:
            file.seek(offset - _TAR_BLOCK)
            return f"{path.name}/{file.read(100).rstrip(bytes(1)).decode(errors='replace')}"

    def read(self, index: int, rate: int) -> Samples:
        """The waveform of an example, mono, (samples,).

        Raises AsitEdgeError if it cannot be read, WrongUse if its rate is another.
        """
        path, offset, size = self._place(index)
        try:
            with path.open("rb") as file:
                file.seek(offset)
                samples, found = read_mono(io.BytesIO(file.read(size)))
        except UNREADABLE as error:
            raise AsitEdgeError(f"{self.name(index)}: cannot be read ({error})") from None
        if found != rate:
            raise WrongUse(
                f"{self.name(index)}: sampled at {found} Hz, not {rate}; make the shards with trainer.prepare"
            )
        return samples

    def _place(self, index: int) -> tuple[Path, int, int]:
        offset, size = self._places[index]
        return self.paths[int(np.searchsorted(self._ends, index, side="right"))], int(offset), int(size)


def _places(path: Path) -> npt.NDArray[np.int64]:
    """Offset and size of each audio file in a tar, (examples, 2)."""
    places, end = [], 0
    length = path.stat().st_size
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                whole = member.offset_data + member.size <= length
                if member.isfile() and member.name.endswith(AUDIO) and member.size and whole:
                    places.append((member.offset_data, member.size))
                end = member.offset_data + -(-member.size // _TAR_BLOCK) * _TAR_BLOCK
        with path.open("rb") as file:
            file.seek(end)
            closed = file.read(_TAR_BLOCK) == bytes(_TAR_BLOCK)
    except tarfile.ReadError:
        closed = False
    if not closed:
        log.warning("%s: damaged or cut off; its first %d examples are used", path, len(places))
    elif not places:
        log.warning("%s: holds no audio", path)
    return np.array(places, np.int64).reshape(-1, 2)
