"""Which recordings are for measuring only: `trainer/left_out.txt` names their collections.

Two collections may have cut their files from one recording (Freesound's number says so), so that keeping away from a
collection also means keeping away from its recordings elsewhere. The same holds for collections that models and
thresholds are chosen by, where a list of such is given.
"""

from collections.abc import Collection, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from asit_edge.errors import WrongUse, one_line
from trainer.data.recording import Recording

FREESOUND = "fs:"
"""What the groups of recordings that have a number at Freesound begin with."""

AUDIO = "audio"
"""The folder in which a pool of collections may keep them."""


@cache
def left_out_collections() -> frozenset[str]:
    """The names in the list; # begins a comment."""
    return _names(files("trainer").joinpath("left_out.txt").read_text(encoding="utf-8"))


def read_collections(file: Path) -> frozenset[str]:
    """The names in such a list. Raises WrongUse where it cannot be read or names none."""
    try:
        names = _names(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{file}: cannot be read ({one_line(error)}); it lists collections, a name a line") from None
    if not names:
        raise WrongUse(f"{file}: names no collection; it lists collections, a name a line")
    return names


def _names(text: str) -> frozenset[str]:
    return frozenset(name for line in text.splitlines() if (name := line.partition("#")[0].strip()))


def collection_of(recording: Recording) -> str:
    """The collection that a recording belongs to: the folder in its pool, the pool itself where it is none of several.

    By its name, as `trainer.data.layouts.collections` gives it: pool, folder, file.
    """
    pool, *inner = recording.name.split("/")
    folders = inner[1:-1] if inner[:1] == [AUDIO] else inner[:-1]
    return folders[0] if folders else pool


def is_left_out(recording: Recording) -> bool:
    """Whether its collection is one for measuring only."""
    return collection_of(recording) in left_out_collections()


def original(recording: Recording) -> str:
    """What a recording was cut from, the same in every pool: its group without the pool's name.

    ESC-50's groups are numbers of Freesound; they are spelled as those of other collections are.
    """
    pool = recording.name.partition("/")[0]
    group = recording.origin.removeprefix(f"{pool}/") if pool else recording.origin
    return f"{FREESOUND}{group}" if recording.fold is not None and group.isdigit() else group


def split_left_out(
    recordings: Sequence[Recording], test_fold: int | None = None
) -> tuple[list[Recording], list[Recording]]:
    """Those to learn from, and those of the collections that are left out, each in the order given.

    What was cut from a recording that a left-out collection has too is in neither; nor is the test fold of collections
    that have folds, and whatever shares a recording with it.
    """
    tested = {original(one) for one in recordings if test_fold is not None and one.fold == test_fold}
    kept, left_out = split_collections(recordings, left_out_collections())
    return [one for one in kept if original(one) not in tested], left_out


def split_collections(
    recordings: Sequence[Recording], names: Collection[str]
) -> tuple[list[Recording], list[Recording]]:
    """Those of other collections, and those of the collections that are named, each in the order given.

    What was cut from a recording that a named collection has too is in neither.
    """
    named = [one for one in recordings if collection_of(one) in names]
    known = {original(one) for one in named}
    return [one for one in recordings if collection_of(one) not in names and original(one) not in known], named
