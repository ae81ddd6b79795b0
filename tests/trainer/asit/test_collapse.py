import math

from trainer.asit.collapse import CollapseWatch

HIGHEST = math.log(1000)


def test_collapse_to_one_prototype_is_said_once() -> None:
    watch = CollapseWatch(1000, patience=3)
    said = [watch.observe(teacher=0.0, centre=0.001) for _ in range(6)]
    assert [sentence is not None for sentence in said] == [False, False, True, False, False, False]
    assert "one prototype" in str(said[2])


def test_collapse_to_uniform_is_said_again_after_a_recovery() -> None:
    watch = CollapseWatch(1000, patience=2)
    course = [HIGHEST, HIGHEST, 3.0, HIGHEST, HIGHEST]
    said = [watch.observe(teacher=value, centre=HIGHEST) for value in course]
    assert [sentence is not None for sentence in said] == [False, True, False, False, True]
    assert "uniform" in str(said[1])


def test_a_healthy_teacher_is_sharp_on_each_and_broad_on_all() -> None:
    watch = CollapseWatch(1000, patience=1)
    assert watch.observe(teacher=0.5, centre=0.9 * HIGHEST) is None
