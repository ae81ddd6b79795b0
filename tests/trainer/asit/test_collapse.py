import math

from trainer.asit.asit import Entropies
from trainer.asit.collapse import CollapseWatch

HIGHEST = math.log(1000)


def seen(teacher: float, centre: float, patch: float = 2.0, patch_centre: float = 4.0) -> Entropies:
    return Entropies(teacher, centre, 3.0, patch, patch_centre, 3.0)


def watch(patience: int) -> CollapseWatch:
    return CollapseWatch(1000, 1000, patience)


def test_collapse_to_one_prototype_is_said_once() -> None:
    watching = watch(patience=3)
    said = [watching.observe(seen(teacher=0.0, centre=0.001)) for _ in range(6)]
    assert [len(sentences) for sentences in said] == [0, 0, 1, 0, 0, 0]
    assert "class tokens have collapsed to one prototype" in said[2][0]
    assert "a higher teacher_temperature_start" in said[2][0]


def test_collapse_to_uniform_is_said_again_after_a_recovery() -> None:
    watching = watch(patience=2)
    course = [HIGHEST, HIGHEST, 3.0, HIGHEST, HIGHEST]
    said = [watching.observe(seen(teacher=value, centre=HIGHEST)) for value in course]
    assert [len(sentences) for sentences in said] == [0, 1, 0, 0, 1]
    assert "class tokens have collapsed to uniform" in said[1][0]
    assert "a lower teacher_temperature" in said[1][0]


def test_patch_tokens_collapse_on_their_own() -> None:
    watching = CollapseWatch(1000, 50, patience=2)
    said = [watching.observe(seen(3.0, 5.0, patch=math.log(50), patch_centre=math.log(50))) for _ in range(2)]
    assert said[0] == []
    assert len(said[1]) == 1
    assert "patch tokens have collapsed to uniform (teacher entropy 3.912 of 3.912)" in said[1][0]


def test_a_healthy_teacher_is_sharp_on_each_and_broad_on_all() -> None:
    assert watch(patience=1).observe(seen(teacher=0.5, centre=0.9 * HIGHEST)) == []
