"""The labels of an adopted model: an inline list, a list in a file, or a class map as AudioSet's models come with."""

import csv
from pathlib import Path

from asit_edge.errors import WrongUse
from asit_edge.labels import Label
from asit_edge.model.bundle import BundleLabel
from asit_edge.validation import nearest
from export.adopting.declaration import Declaration
from trainer.data.audioset import label_for

MOST = 1 << 24
"""Bytes of a file of labels."""


def declared_labels(told: Declaration) -> list[BundleLabel]:
    """In the order of the outputs, with thresholds. Raises WrongUse."""
    labels = [label_for(name) for name in told.labels] if isinstance(told.labels, list) else read_class_map(told.labels)
    names = [label.name for label in labels]
    if unknown := [name for name in told.thresholds if name not in names]:
        raise WrongUse(f"thresholds: the model has no label {unknown[0]!r}{nearest(unknown[0], names)}")
    usual = (told.on_threshold, told.off_threshold)
    made = []
    for label in labels:
        on, off = told.thresholds.get(label.name, usual)
        if not 0 < off <= on < 1:
            raise WrongUse(f"thresholds of {label.name!r}: 0 < off <= on < 1 must hold, not on {on:g} and off {off:g}")
        made.append(BundleLabel(name=label.name, id=label.id, on_threshold=on, off_threshold=off))
    return made


def read_class_map(file: Path) -> list[Label]:
    """Labels of a CSV with the column display_name and perhaps mid and index, or one a line in any other file.

    Raises WrongUse, naming file and line.
    """
    try:
        if file.stat().st_size > MOST:
            raise WrongUse(f"{file}: is larger than {MOST >> 20} MB, which no list of labels is")
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise WrongUse(f"{file}: not a readable text (UTF-8)") from None
    if file.suffix.lower() == ".csv":
        return _rows(file, lines)
    return [_label(file, number, line, None) for number, line in enumerate(lines, 1) if line.strip()]


def _rows(file: Path, lines: list[str]) -> list[Label]:
    try:
        reader = csv.DictReader(lines)
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise WrongUse(f"{file}: not a CSV file ({error})") from None
    if "display_name" not in (reader.fieldnames or []):
        raise WrongUse(f"{file}:1: must name its columns, of which one is display_name (and perhaps index and mid)")
    for place, (number, row) in enumerate(rows):
        if "index" in row and row["index"] != str(place):
            raise WrongUse(
                f"{file}:{number}: index must be {place}, not {row['index']!r}: rows are in the order of outputs"
            )
    return [_label(file, number, row["display_name"] or "", row.get("mid")) for number, row in rows]


def _label(file: Path, number: int, name: str, mid: str | None) -> Label:
    if not (name := name.strip()) or len(name) > 500:
        raise WrongUse(f"{file}:{number}: a label must have a name, of at most 500 characters")
    return Label(name=name, id=mid) if mid else label_for(name)
