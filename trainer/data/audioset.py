"""AudioSet's 527 classes (`audioset.csv`: names and ids by Google, CC-BY 4.0)."""

import csv
from functools import cache
from importlib.resources import files
from pathlib import Path

from asit_edge.errors import WrongUse
from asit_edge.labels import Label, slug
from asit_edge.validation import nearest


@cache
def audioset_ids() -> dict[str, str]:
    """Display name to AudioSet id, in AudioSet's order."""
    text = files("trainer.data").joinpath("audioset.csv").read_text(encoding="utf-8")
    return {row["display_name"]: row["mid"] for row in csv.DictReader(text.splitlines())}


@cache
def names_by_id() -> dict[str, str]:
    """AudioSet id to display name."""
    return {mid: name for name, mid in audioset_ids().items()}


def label_for(name: str) -> Label:
    """The AudioSet class of that display name; any other name becomes a label of its own."""
    return Label(name=name, id=audioset_ids().get(name, slug(name)))


def read_labels(file: Path) -> list[str]:
    """The names in a list, one a line; # begins a comment. WrongUse for what is no AudioSet label."""
    if not file.is_file():
        raise WrongUse(f"{file}: no such list of labels")
    names = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    names = [name for name in names if name and not name.startswith("#")]
    everything = list(audioset_ids())
    if wrong := [name for name in names if name not in everything]:
        raise WrongUse(f"{file}: {wrong[0]!r} is no AudioSet label{nearest(wrong[0], everything)}")
    return names
