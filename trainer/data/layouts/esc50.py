"""Data in the public ESC-50 layout: `meta/esc50.csv` (or `esc10.csv`) and `audio/`, split into folds by its authors.

Clips of one source recording are all in one fold; splitting by fold keeps test recordings unseen.
"""

from pathlib import Path

from asit_edge.errors import WrongUse
from trainer.data.dataset import Dataset
from trainer.data.layouts.tables import read_rows
from trainer.data.recording import Recording

AUDIOSET_NAMES = {
    "dog": "Dog",
    "rooster": "Crowing, cock-a-doodle-doo",
    "rain": "Rain",
    "sea_waves": "Waves, surf",
    "crackling_fire": "Fire",
    "crying_baby": "Baby cry, infant cry",
    "sneezing": "Sneeze",
    "clock_tick": "Tick-tock",
    "helicopter": "Helicopter",
    "chainsaw": "Chainsaw",
}
"""ESC-10 categories by the AudioSet class that says the same."""


def read_esc50(root: Path) -> Dataset:
    """Lists the clips of a folder in the ESC-50 layout. Errors name the file, the line and the remedy."""
    table = esc50_table(root)
    if table is None:
        raise WrongUse(f"{root}: no meta/esc50.csv (or meta/esc10.csv); --data must be a folder in the ESC-50 layout")
    rows = read_rows(table)
    recordings: list[Recording] = []
    for line, row in enumerate(rows, start=2):
        try:
            fold, category = int(row["fold"]), row["category"]
            labels = (display_name(category),)
            recordings.append(Recording(root / "audio" / row["filename"], labels, row.get("src_file"), str(fold)))
        except (KeyError, TypeError, ValueError) as error:
            raise WrongUse(f"{table}:{line}: needs filename, fold (a number) and category ({error})") from None
    if not recordings:
        raise WrongUse(f"{table}: lists no clips")
    order = sorted({row["category"] for row in rows})
    return Dataset(root.name, recordings, [display_name(category) for category in order])


def esc50_table(root: Path) -> Path | None:
    """The table of a folder in the ESC-50 layout, None if it is not one."""
    return next((path for name in ("esc50.csv", "esc10.csv") if (path := root / "meta" / name).is_file()), None)


def display_name(category: str) -> str:
    """The AudioSet class of a category where there is one, else the category's own name."""
    return AUDIOSET_NAMES.get(category, category.replace("_", " ").capitalize())
