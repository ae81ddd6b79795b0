"""The index beside shards: what each holds, so that one that is missing or cut is noticed before anything is read.

`index.npz` has the size and SHA-256 of every shard, and of every clip its place in the tar, its length, where it came
from and its labels. Without an index the headers of all tars are read (`trainer.data.shards.reading`).
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import soundfile

from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.run.files import write_whole

INDEX = "index.npz"

AUDIO = (".flac", ".opus", ".ogg", ".wav")
"""How the names of clips in a shard end."""

SKETCH_BYTES = 32

_FORMAT = 1
_BLOCK = 1 << 20


class Clip(NamedTuple):
    """A clip in a shard."""

    offset: int
    """Bytes from the beginning of the tar."""
    size: int
    """Bytes."""
    samples: int
    source: str
    """The recording that it is (a piece of)."""
    piece: int
    labels: tuple[str, ...]
    sketch: str
    """What it sounds like (`trainer.evaluation.content`), in hexadecimal; "" where nobody asked."""


@dataclass(frozen=True)
class Described:
    """A shard and what it holds."""

    name: str
    size: int
    """Bytes."""
    sha256: str
    clips: list[Clip]

    def plain(self) -> dict[str, Any]:
        """As built-in types; `from_plain` reads it."""
        return {"name": self.name, "size": self.size, "sha256": self.sha256, "clips": [list(one) for one in self.clips]}

    @staticmethod
    def from_plain(values: dict[str, Any]) -> "Described":
        clips = [Clip(*one)._replace(labels=tuple(one[5])) for one in values["clips"]]
        return Described(values["name"], values["size"], values["sha256"], clips)


def describe(path: Path, sketch: Callable[[bytes], bytes] | None = None, name: str | None = None) -> Described:
    """What is in a shard that is whole; `sketch` makes of a clip's file what it sounds like.

    Raises AsitEdgeError that names what cannot be read.
    """
    about: dict[str, dict[str, Any]] = {}
    where = str(path)
    found: list[tuple[str, Clip]] = []
    try:
        with tarfile.open(path, "r:") as tar, path.open("rb") as file:
            for member in tar:
                if not member.isfile() or not member.size or not member.name.endswith((*AUDIO, ".json")):
                    continue
                where = f"{path}/{member.name}"
                file.seek(member.offset_data)
                content = file.read(member.size)
                key = member.name.rpartition(".")[0]
                if member.name.endswith(".json"):
                    about[key] = json.loads(content)
                    continue
                samples = soundfile.info(io.BytesIO(content)).frames
                said = sketch(content).hex() if sketch else ""
                found.append((key, Clip(member.offset_data, member.size, samples, member.name, 0, (), said)))
    except (OSError, ValueError, tarfile.TarError, soundfile.SoundFileError) as error:
        raise AsitEdgeError(f"{where}: cannot be read ({error})") from None
    clips = [clip._replace(**_origin(about[key])) if key in about else clip for key, clip in found]
    return Described(name or path.name, path.stat().st_size, sha256(path), clips)


def _origin(about: dict[str, Any]) -> dict[str, Any]:
    """What the file beside a clip says of it: trainer.prepare's names, or nothing."""
    if "source" not in about:
        return {}
    return {
        "source": str(about["source"]),
        "piece": int(about.get("piece", 0)),
        "labels": tuple(map(str, about.get("labels", ()))),
    }


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True)
class ShardIndex:
    """Of a folder of shards, in the order of their names; clips run over all of them."""

    folder: Path
    names: list[str]
    sizes: npt.NDArray[np.int64]
    hashes: list[str]
    counts: list[int]
    """Clips of each shard."""
    places: npt.NDArray[np.int64]
    """Offset and size of each clip, (clips, 2)."""
    samples: npt.NDArray[np.int64]
    sketches: npt.NDArray[np.uint8]
    """(clips, 32), or (0, 32) where nobody made them."""
    _about: npt.NDArray[np.uint8]

    @cached_property
    def about(self) -> list[tuple[str, int, tuple[str, ...]]]:
        """Source, piece and labels of each clip."""
        return [(source, piece, tuple(labels)) for source, piece, labels in json.loads(self._about.tobytes())]

    def check(self, thoroughly: bool = False) -> None:
        """Raises WrongUse that names every shard that is missing, of another size or in no index; `thoroughly`: also
        those whose content is another."""
        wrong = []
        for name, size, digest in zip(self.names, self.sizes, self.hashes, strict=True):
            path = self.folder / name
            if not path.is_file():
                wrong.append(f"{name} is missing")
            elif path.stat().st_size != size:
                there = path.stat().st_size
                wrong.append(f"{name} is {'cut off' if there < size else 'longer'}: {there} bytes of {size}")
            elif thoroughly and sha256(path) != digest:
                wrong.append(f"{name} has another content than when it was made")
        known = set(self.names)
        wrong += [f"{path.name} is not in the index" for path in _tars(self.folder) if path.name not in known]
        if wrong:
            more = f", and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            raise WrongUse(
                f"{self.folder}: is not what its {INDEX} says: {', '.join(wrong[:5])}{more}; delete what is "
                "wrong and give the command of trainer.prepare that made it again, or copy the folder anew"
            )


def write_index(folder: Path, shards: Sequence[Described]) -> None:
    """Writes `index.npz` as a whole. Raises AsitEdgeError where the disk is full."""
    clips = [clip for shard in shards for clip in shard.clips]
    sketched = bool(clips) and all(clip.sketch for clip in clips)
    sketches = bytes.fromhex("".join(clip.sketch for clip in clips)) if sketched else b""
    about = json.dumps([(clip.source, clip.piece, clip.labels) for clip in clips]).encode()
    content = io.BytesIO()
    np.savez_compressed(
        content,
        format=np.array(_FORMAT),
        names=np.array([shard.name for shard in shards], np.str_),
        sizes=np.array([shard.size for shard in shards], np.int64),
        hashes=np.array([shard.sha256 for shard in shards], np.str_),
        counts=np.array([len(shard.clips) for shard in shards], np.int64),
        places=np.array([(clip.offset, clip.size) for clip in clips], np.int64).reshape(-1, 2),
        samples=np.array([clip.samples for clip in clips], np.int64),
        sketches=np.frombuffer(sketches, np.uint8).reshape(-1, SKETCH_BYTES),
        about=np.frombuffer(about, np.uint8),
    )
    write_whole(folder / INDEX, content.getvalue())


def read_index(folder: Path) -> ShardIndex | None:
    """The index of a folder, None where it has none. Raises AsitEdgeError where it cannot be read."""
    path = folder / INDEX
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            if int(file["format"]) != _FORMAT:
                raise ValueError(f"format {int(file['format'])}")
            return ShardIndex(
                folder,
                [str(name) for name in file["names"]],
                file["sizes"],
                [str(digest) for digest in file["hashes"]],
                [int(count) for count in file["counts"]],
                file["places"],
                file["samples"],
                file["sketches"],
                file["about"],
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise AsitEdgeError(
            f"{path}: cannot be read ({error}); make it anew with python -m trainer.shards {folder} --write"
        ) from None


def _tars(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tar"))
