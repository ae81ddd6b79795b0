"""The yardstick: what is measured on, made once of the collections at hand; one model after the other is held to it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from asit_edge.errors import WrongUse
from trainer.data.dataset import Dataset, is_held_out
from trainer.data.left_out import original, split_collections, split_left_out
from trainer.data.recording import Recording
from trainer.evaluation.scoring import SoundModel
from trainer.evaluation.yardstick.alarms import Agreement, agreements, false_alarms
from trainer.evaluation.yardstick.clips import choose_clips, clip_quality
from trainer.evaluation.yardstick.listening import (
    AMBIENCES,
    SCENES,
    Ambience,
    Scenes,
    ambience,
    scene_library,
    scenes_of,
)
from trainer.evaluation.yardstick.scenes import scene_quality

PARTS = ("clips", "scenes", "folds", "same", "ambience", "long")
"""What can be measured: left-out clips, scenes of them, a fold of ESC-50's layout, clips of the validation groups of
other collections, false alarms in real ambience and in long scenes."""

COUNT, SEED, LONG_SEED = 100, 20, 21
"""Scenes of the table, how they are drawn, and how those for false alarms are."""
MOST_SAME = 600
VALIDATION = 0.1
"""Share of the groups of recordings that training keeps for validation."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Yardstick:
    """What models are held to; None where it was not asked for."""

    clips: Dataset | None = None
    scenes: Scenes | None = None
    folds: Dataset | None = None
    same: Dataset | None = None
    ambience: Ambience | None = None
    long: Scenes | None = None


def make_yardstick(
    recordings: Sequence[Recording],
    labels: Sequence[str],
    fold: Dataset | None,
    hours: float,
    parts: Sequence[str] = PARTS,
    chosen_by: Collection[str] = (),
) -> Yardstick:
    """Of all recordings of the pools; `labels` are those that matter. With `chosen_by`, of those collections in place
    of the left-out ones. Raises WrongUse without them."""
    kept, left_out = split_left_out(recordings)
    if chosen_by:
        kept, left_out = split_collections(kept, chosen_by)
        if not left_out:
            raise WrongUse(f"--data: none of the collections to choose by ({', '.join(sorted(chosen_by))}) is there")
    if not left_out:
        raise WrongUse("--data: none of the collections of trainer/left_out.txt is there, so nothing can be measured")
    places = chosen_by or AMBIENCES
    name = "collections to choose by" if chosen_by else "left-out collections"
    library = scene_library(left_out, labels, places) if {"scenes", "long"} & set(parts) else None
    return Yardstick(
        choose_clips(name, left_out, labels) if "clips" in parts else None,
        scenes_of(library, COUNT, SEED) if library and "scenes" in parts else None,
        fold if "folds" in parts else None,
        _same(kept, labels) if "same" in parts else None,
        ambience(left_out, places) if "ambience" in parts else None,
        scenes_of(library, round(hours * 3600 / SCENES.seconds), LONG_SEED)
        if library and hours and "long" in parts
        else None,
    )


def _same(kept: Sequence[Recording], labels: Sequence[str]) -> Dataset | None:
    """Clips of validation groups, unless another pool has the same recording in training."""
    unfolded = [one for one in kept if one.fold is None]
    trained = {original(one) for one in unfolded if not is_held_out(one, VALIDATION)}
    held = [one for one in unfolded if is_held_out(one, VALIDATION) and original(one) not in trained]
    clips = choose_clips("same collections", held, labels, MOST_SAME)
    return clips if clips.recordings else None


def who_agrees(peers: Sequence[SoundModel], yardstick: Yardstick) -> dict[str, list[Agreement]]:
    """What published models agree on in the long sound of the yardstick, by part."""
    parts = {"ambience": yardstick.ambience, "long": yardstick.long}
    return {name: agreements(peers, sound) for name, sound in parts.items() if sound is not None}


def measure(model: SoundModel, yardstick: Yardstick, agreed: dict[str, list[Agreement]]) -> Iterator[tuple[str, Json]]:
    """Every part that there is, by name, as soon as it is measured; `agreed` is what `who_agrees` gives."""
    for part, clips in (("clips", yardstick.clips), ("folds", yardstick.folds), ("same", yardstick.same)):
        if clips is not None:
            yield part, clip_quality(model, clips)
    if yardstick.scenes is not None:
        yield "scenes", scene_quality(model, yardstick.scenes)
    for part, sound in (("ambience", yardstick.ambience), ("long", yardstick.long)):
        if sound is not None:
            yield part, false_alarms(model, sound, agreed[part])
