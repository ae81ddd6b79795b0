"""What there is to prepare: a folder of audio, an AudioSet table beside a folder, or a manifest of ours.

Lists files and labels; nothing here opens an audio file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from asit_edge.errors import WrongUse
from trainer.data.layouts.tables import find_file, read_cells
from trainer.data.recording import Recording

AUDIO_SUFFIXES = frozenset(
    ".wav .flac .ogg .opus .mp3 .aif .aiff .au .m4a .mp4 .aac .webm .mkv .wma".split()  # noqa: SIM905
)

_YOUTUBE_ID = 11
"""Characters of a YouTube id, the name of a clip in AudioSet."""


@dataclass(frozen=True)
class Missing:
    """A recording that a table lists and the folder does not have."""

    name: str
    labels: tuple[str, ...] = ()


def list_recordings(folder: Path, table: Path | None, exclude: Mapping[str, str]) -> list[Recording | Missing]:
    """The recordings of a folder, or those of a table (AudioSet's csv or a manifest) that lie in the folder.

    `exclude` leaves out the rows of a manifest that have this value in this column. Raises WrongUse where
    there is nothing to prepare.
    """
    if not folder.is_dir():
        raise WrongUse(f"{folder}: no such folder")
    if table is None:
        if exclude:
            raise WrongUse("--exclude needs the columns of a manifest; name one with --table")
        files = audio_files(folder)
        if not files:
            raise WrongUse(f"{folder}: no audio in this folder (looked for {' '.join(sorted(AUDIO_SUFFIXES))})")
        return [Recording(path, name=str(path.relative_to(folder))) for path in files]
    if not table.is_file():
        raise WrongUse(f"{table}: no such table")
    rows = read_cells(table)
    if rows and "path" in rows[0]:
        listed = list(_manifest(rows, folder, table, exclude))
    elif rows and all(_is_audioset(row) for row in rows[:1]):
        if exclude:
            raise WrongUse(f"{table}: --exclude needs named columns, and AudioSet's table has none")
        listed = list(_audioset(rows, folder, table))
    else:
        raise WrongUse(f"{table}: not a manifest (column path), nor AudioSet's csv (id, start, end, labels)")
    if not listed:
        raise WrongUse(f"{table}: lists no recordings")
    if all(isinstance(one, Missing) for one in listed):
        raise WrongUse(f"{folder}: has none of the {len(listed)} recordings of {table}")
    return listed


def audio_files(folder: Path) -> list[Path]:
    """Every audio file in a folder, at any depth; not hidden ones, such as those ("._") that macOS leaves on cards."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def _manifest(
    rows: list[list[str]], folder: Path, table: Path, exclude: Mapping[str, str]
) -> Iterator[Recording | Missing]:
    header = rows[0]
    for column in exclude:
        if column not in header:
            raise WrongUse(f"{table}: has no column {column}; it has {', '.join(header)}")
    for line, cells in enumerate(rows[1:], start=2):
        if len(cells) != len(header):
            raise WrongUse(f"{table}: row {line} has {len(cells)} cells, the header {len(header)}")
        row = dict(zip(header, cells, strict=True))
        if any(row[column] == value for column, value in exclude.items()):
            continue
        label = row.get("audioset_label") or row.get("label") or ""
        yield _listed(row["path"], find_file(row["path"], folder), (label,) if label else ())


def _listed(name: str, path: Path | None, labels: tuple[str, ...]) -> Recording | Missing:
    return Missing(name, labels) if path is None else Recording(path, labels, name=name)


def _audioset(rows: list[list[str]], folder: Path, table: Path) -> Iterator[Recording | Missing]:
    clips: dict[str, Path] = {}
    for path in audio_files(folder):
        for start in (0, 1) if path.stem.startswith("Y") else (0,):
            rest = path.stem[start + _YOUTUBE_ID :]
            if not rest or rest[0] in "_.":
                clips.setdefault(path.stem[start : start + _YOUTUBE_ID], path)
    for line, row in enumerate(rows, start=1):
        if not _is_audioset(row):
            raise WrongUse(f"{table}: row {line} is not id, start, end, labels: {', '.join(row)}")
        yield _listed(row[0], clips.get(row[0]), tuple(row[3].split(",")) if len(row) > 3 else ())


def _is_audioset(row: list[str]) -> bool:
    try:
        return len(row) >= 3 and len(row[0]) == _YOUTUBE_ID and float(row[1]) <= float(row[2])
    except ValueError:
        return False
