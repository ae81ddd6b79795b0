"""AudioSet's 527 classes (`audioset.csv`: names and ids by Google, CC-BY 4.0)."""

import csv
from functools import cache
from importlib.resources import files

from asit_edge.labels import Label, slug


@cache
def audioset_ids() -> dict[str, str]:
    """Display name to AudioSet id, in AudioSet's order."""
    text = files("trainer").joinpath("audioset.csv").read_text(encoding="utf-8")
    return {row["display_name"]: row["mid"] for row in csv.DictReader(text.splitlines())}


def label_for(name: str) -> Label:
    """The AudioSet class of that display name; any other name becomes a label of its own."""
    return Label(name=name, id=audioset_ids().get(name, slug(name)))
