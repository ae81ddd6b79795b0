"""Kinds of sounds: AudioSet's names, a hierarchy without circles."""

from trainer.data.audioset import audioset_ids
from trainer.evaluation.families import CHILDREN, covered, parents, related


def test_families_are_of_audioset_and_nothing_is_a_kind_of_itself() -> None:
    names = {*CHILDREN, *(child for children in CHILDREN.values() for child in children)}
    assert names <= set(audioset_ids())
    assert [name for name in names if name in parents(name)] == []


def test_parents_of_parents_count_and_siblings_do_not() -> None:
    assert parents("Chirp, tweet") == {"Bird vocalization, bird call, bird song", "Bird"}
    assert parents("Bleat") >= {"Sheep", "Goat"}
    assert parents("no such label") == set()
    assert related("Bird", "Chirp, tweet")
    assert related("Chirp, tweet", "Bird")
    assert related("Frog", "Frog")
    assert not related("Bark", "Howl")
    assert covered("Chirp, tweet", ["Bird"])
    assert not covered("Bird", ["Chirp, tweet"])
