"""One's own data: class sub-folders, a table of clips, or strong labels as DCASE writes them.

Sub-folders: `CLASS/clip.wav`, or `CLASS/RECORDING/clip.wav` where recordings were cut into several clips. Names that
begin with `_` hold negatives: clips without any class.

Table: a csv with a column `path` (or `filename`, `fname`) and one of `label`, `category`, `audioset_label`, or `labels`
(several, separated by `;`); an empty one makes a negative. `group` (or `split_group`, `src_file`) names the recording,
`split` or `fold` the part.

Strong labels: a tsv with `filename`, `onset`, `offset`, `event_label`; `durations.tsv` beside it also lists the files
that have no events.

A table lies in the folder of its audio, or has the audio in `audio/` beside it.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

from asit_edge.errors import WrongUse
from trainer.data.dataset import Dataset
from trainer.data.layouts.listing import audio_files
from trainer.data.layouts.tables import find_file, read_rows
from trainer.data.recording import Recording, StrongLabel

PATHS = ("path", "filename", "fname", "file")
LABELS = ("label", "category", "audioset_label", "event_label")
GROUPS = ("group", "split_group", "src_file", "recording")
PARTS = ("split", "fold", "part")
TABLES = ("events.tsv", "manifest.csv", "metadata.csv", "metadata.tsv", "labels.csv")
"""Names under which a folder's own table is found."""


def read(path: Path) -> Dataset:
    """A folder or a table. Raises WrongUse that says what was found and what would be right."""
    if path.is_file():
        return _table(path)
    if not path.is_dir():
        raise WrongUse(f"{path}: no such folder or table")
    for name in TABLES:
        if (path / name).is_file():
            return _table(path / name)
    return _sub_folders(path)


def write_table(path: Path, dataset: Dataset) -> None:
    """Lists a data set's recordings where `read` finds them again; strong labels one a line, else one recording."""
    path = path.with_suffix(".tsv") if dataset.strong else path
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter="\t" if dataset.strong else ",")
        if dataset.strong:
            table.writerow(["filename", "onset", "offset", "event_label", "group"])
            for one in dataset.recordings:
                events = [[event.onset, event.offset, event.category] for event in one.events or ()]
                table.writerows([one.path.resolve(), *event, one.group] for event in events or [["", "", ""]])
        else:
            table.writerow(["path", "label" if dataset.single_label else "labels", "group"])
            for one in dataset.recordings:
                table.writerow([one.path.resolve(), ";".join(one.labels), one.group])


def _sub_folders(root: Path) -> Dataset:
    recordings: list[Recording] = []
    for folder in sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        negative = folder.name.startswith("_")
        for file in audio_files(folder):
            inner = file.relative_to(folder).parts
            group = f"{folder.name}/{inner[0]}" if len(inner) > 1 else None
            recordings.append(Recording(file, () if negative else (folder.name,), group))
    return _dataset(root.name, recordings, f"{root}: no audio in class sub-folders (CLASS/clip.wav) and no table", True)


def _table(table: Path) -> Dataset:
    rows = read_rows(table)
    header = set(rows[0]) if rows else set()
    if {"onset", "offset"} <= header:
        return _strong(table, rows)
    path = _column(table, header, PATHS)
    several = "labels" in header
    label = "labels" if several else _column(table, header, LABELS)
    group, part = _optional(header, GROUPS), _optional(header, PARTS)
    recordings = []
    for line, row in enumerate(rows, start=2):
        if not row[path] or row[label] is None:
            raise WrongUse(f"{table}:{line}: needs {path} and {label}")
        names = row[label].split(";") if several else [row[label]]
        recordings.append(
            Recording(
                _audio(table, row[path], line),
                tuple(dict.fromkeys(name.strip() for name in names if name.strip())),
                row[group] or None if group else None,
                row[part] or None if part else None,
            )
        )
    return _dataset(table.parent.name, recordings, f"{table}: lists no clips", not several)


def _strong(table: Path, rows: list[dict[str, str]]) -> Dataset:
    path, label = _column(table, set(rows[0]), PATHS), _column(table, set(rows[0]), ("event_label", *LABELS))
    events: dict[str, list[StrongLabel]] = {}
    lengths: dict[str, float] = {}
    durations = table.with_name("durations.tsv")
    if durations.is_file():
        for line, row in enumerate(read_rows(durations), start=2):
            try:
                lengths[row["filename"]] = float(row["duration"])
            except (KeyError, TypeError, ValueError):
                raise WrongUse(f"{durations}:{line}: needs filename and duration (seconds)") from None
            events[row["filename"]] = []
    for line, row in enumerate(rows, start=2):
        here = events.setdefault(row[path], [])
        if not row[label]:
            continue  # DCASE lists a file without events with empty cells.
        try:
            onset, offset = float(row["onset"]), float(row["offset"])
        except (TypeError, ValueError):
            raise WrongUse(f"{table}:{line}: onset and offset must be seconds") from None
        if not 0 <= onset < offset:
            raise WrongUse(f"{table}:{line}: onset {onset} must be before offset {offset}, neither below 0")
        here.append(StrongLabel(onset, offset, row[label]))
    group, part = _optional(set(rows[0]), GROUPS), _optional(set(rows[0]), PARTS)
    first = {row[path]: row for row in reversed(rows)}
    recordings = [
        Recording(
            _audio(table, name, None),
            tuple(dict.fromkeys(event.category for event in labels)),
            first[name][group] or None if group and name in first else None,
            first[name][part] or None if part and name in first else None,
            tuple(labels),
        )
        for name, labels in events.items()
    ]
    return _dataset(table.parent.name, recordings, f"{table}: lists no files", False)


def _dataset(name: str, recordings: list[Recording], empty: str, single: bool) -> Dataset:
    if not recordings:
        raise WrongUse(empty)
    categories = sorted({label for one in recordings for label in one.labels})
    if not categories:
        raise WrongUse(f"{name}: no clip has a label")
    return Dataset(name, recordings, categories, single and all(len(one.labels) == 1 for one in recordings))


def _audio(table: Path, name: str, line: int | None) -> Path:
    found = find_file(name, table.parent, table.parent / "audio")
    if found is not None:
        return found
    where = f"{table}:{line}" if line else str(table)
    raise WrongUse(f"{where}: no file {name} in {table.parent} or its folder audio")


def _column(table: Path, header: Iterable[str], names: tuple[str, ...]) -> str:
    found = _optional(set(header), names)
    if found is None:
        raise WrongUse(
            f"{table}: no column {' or '.join(names)}; it has {', '.join(sorted(map(str, header))) or 'none'}"
        )
    return found


def _optional(header: set[str], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in header), None)
