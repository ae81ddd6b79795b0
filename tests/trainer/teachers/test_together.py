"""Teachers that hear a scene together: their geometric mean, over the labels that each knows."""

from pathlib import Path

import numpy as np
import pytest

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.teachers import together
from trainer.teachers.stored_scores import Probabilities
from trainer.teachers.together import SceneTeachers


class Says:
    """A teacher that says the same of every scene."""

    def __init__(self, labels: list[str], scores: list[float]) -> None:
        self.labels, self._scores = labels, scores

    def __call__(self, scene: Samples) -> Probabilities:
        return np.tile(np.array(self._scores, np.float32), (len(scene) // 2560, 1))


def teachers(
    monkeypatch: pytest.MonkeyPatch, labels: list[str], assigned: dict[str, str] | None = None
) -> SceneTeachers:
    known = {"a": Says(["Dog", "Rain"], [0.9, 0.0]), "b": Says(["Rain", "Dog", "Siren"], [0.5, 0.4, 0.3])}
    monkeypatch.setattr(together, "SceneTeacher", lambda file, rate: known[str(file)])
    return SceneTeachers([Path("a"), Path("b")], labels, 16_000, assigned)


def test_their_geometric_mean_counts_and_one_that_does_not_know_a_label_has_no_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard = teachers(monkeypatch, ["Siren", "Dog", "Rain"])(np.zeros(2560 * 4, np.float32))
    assert heard.shape == (4, 3)
    assert np.allclose(heard[0], [0.3, 0.6, (1e-3 * 0.5) ** 0.5], atol=1e-3)


def test_a_label_may_be_one_teachers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = teachers(monkeypatch, ["Siren", "Dog", "Rain"], {"Dog": "b"})(np.zeros(2560, np.float32))
    assert np.allclose(heard[0], [0.3, 0.4, (1e-3 * 0.5) ** 0.5], atol=1e-3)
    with pytest.raises(WrongUse, match="--assign: Siren: a does not know it"):
        teachers(monkeypatch, ["Siren", "Dog"], {"Siren": "a"})


def test_a_label_that_nobody_knows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AsitEdgeError, match="Moon"):
        teachers(monkeypatch, ["Dog", "Moon"])


def test_a_teacher_that_is_not_there_and_a_rate_that_it_does_not_hear_are_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"none\.pt"):
        SceneTeachers([tmp_path / "none.pt"], ["Dog"], 16_000)
    with pytest.raises(WrongUse, match="16 kHz"):
        SceneTeachers([tmp_path / "none.pt"], ["Dog"], 8_000)
