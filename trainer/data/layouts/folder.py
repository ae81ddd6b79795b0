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
from trainer.data.dataset import Clip, Dataset, StrongLabel
from trainer.data.listing import AUDIO_SUFFIXES

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
    """Lists the clips of a data set where `read` finds them again; strong labels one a line, else one clip a line."""
    path = path.with_suffix(".tsv") if dataset.strong else path
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter="\t" if dataset.strong else ",")
        if dataset.strong:
            table.writerow(["filename", "onset", "offset", "event_label", "group"])
            for clip in dataset.clips:
                events = [[event.onset, event.offset, event.category] for event in clip.events or ()]
                table.writerows([clip.path.resolve(), *event, clip.group] for event in events or [["", "", ""]])
        else:
            table.writerow(["path", "label" if dataset.single_label else "labels", "group"])
            for clip in dataset.clips:
                table.writerow([clip.path.resolve(), ";".join(clip.categories), clip.group])


def _sub_folders(root: Path) -> Dataset:
    clips: list[Clip] = []
    for folder in sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        negative = folder.name.startswith("_")
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.suffix.lower() in AUDIO_SUFFIXES:
                inner = file.relative_to(folder).parts
                group = f"{folder.name}/{inner[0]}" if len(inner) > 1 else None
                clips.append(Clip(file, () if negative else (folder.name,), group))
    return _dataset(root.name, clips, f"{root}: no audio in class sub-folders (CLASS/clip.wav) and no table", True)


def _table(table: Path) -> Dataset:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, delimiter="\t" if table.suffix == ".tsv" else ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WrongUse(f"{table}: cannot be read as a table ({error})") from None
    header = set(rows[0]) if rows else set()
    if {"onset", "offset"} <= header:
        return _strong(table, rows)
    path = _column(table, header, PATHS)
    several = "labels" in header
    label = "labels" if several else _column(table, header, LABELS)
    group, part = _optional(header, GROUPS), _optional(header, PARTS)
    clips = []
    for line, row in enumerate(rows, start=2):
        if not row[path] or row[label] is None:
            raise WrongUse(f"{table}:{line}: needs {path} and {label}")
        names = row[label].split(";") if several else [row[label]]
        categories = tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
        clips.append(
            Clip(
                _audio(table, row[path], line),
                categories,
                row[group] or None if group else None,
                row[part] or None if part else None,
            )
        )
    return _dataset(table.parent.name, clips, f"{table}: lists no clips", not several)


def _strong(table: Path, rows: list[dict[str, str]]) -> Dataset:
    path, label = _column(table, set(rows[0]), PATHS), _column(table, set(rows[0]), ("event_label", *LABELS))
    events: dict[str, list[StrongLabel]] = {}
    lengths: dict[str, float] = {}
    durations = table.with_name("durations.tsv")
    if durations.is_file():
        with durations.open(newline="", encoding="utf-8-sig") as file:
            for line, row in enumerate(csv.DictReader(file, delimiter="\t"), start=2):
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
    clips = [
        Clip(
            _audio(table, name, None),
            tuple(dict.fromkeys(event.category for event in labels)),
            first[name][group] or None if group and name in first else None,
            first[name][part] or None if part and name in first else None,
            tuple(labels),
        )
        for name, labels in events.items()
    ]
    return _dataset(table.parent.name, clips, f"{table}: lists no files", False)


def _dataset(name: str, clips: list[Clip], empty: str, single: bool) -> Dataset:
    if not clips:
        raise WrongUse(empty)
    categories = sorted({category for clip in clips for category in clip.categories})
    if not categories:
        raise WrongUse(f"{name}: no clip has a label")
    return Dataset(name, clips, categories, single and all(len(clip.categories) == 1 for clip in clips))


def _audio(table: Path, name: str, line: int | None) -> Path:
    for folder in (table.parent, table.parent / "audio"):
        if (folder / name).is_file():
            return folder / name
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
