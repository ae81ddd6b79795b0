"""Which recordings are for measuring only: `trainer/left_out.txt` names their collections.

Two collections may have cut their files from one recording (Freesound's number says so), so that keeping away from a
collection also means keeping away from its recordings elsewhere.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from trainer.data.recording import Recording

FREESOUND = "fs:"
"""What the groups of recordings that have a number at Freesound begin with."""

AUDIO = "audio"
"""The folder in which a pool of collections may keep them."""


@cache
def left_out_collections() -> frozenset[str]:
    """The names in the list; # begins a comment."""
    lines = files("trainer").joinpath("left_out.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(name for line in lines if (name := line.partition("#")[0].strip()))


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
    left_out = [one for one in recordings if is_left_out(one)]
    tested = [one for one in recordings if test_fold is not None and one.fold == test_fold]
    known = {original(one) for one in [*left_out, *tested]}
    return [one for one in recordings if not is_left_out(one) and original(one) not in known], left_out
