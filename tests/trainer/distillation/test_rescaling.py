"""Scores say how likely a label sounds, whatever the teachers' temper, and no order within a label changes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from asit_edge.errors import WrongUse
from tests.trainer.commands import call
from tests.trainer.test_thresholds import pool_of
from trainer.distillation.heard_scenes import HeardScenes
from trainer.distillation.rescaling import AS_IT_IS, Scale, fitted, scales
from trainer.distillation.scene_thresholds import NEAR
from trainer.models.streaming_mobilenet import WARM_SIZES
from trainer.rescale import main
from trainer.run.checkpoint import load_checkpoint, save_checkpoint
from trainer.students.config import CNN, WARM, DistillConfig
from trainer.students.student import HEADS, STUDENT, load_student, new_student

NOT_HELD = Scale(0.0, 0.0)


def probability(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-logits)))


def events(factor: float, shift: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a student's events, which mean what `factor` and `shift` make of them, and which are right."""
    rng = np.random.default_rng(0)
    logits = rng.uniform(-3.5, 3.5, count)
    return logits, rng.random(count) < probability(factor * logits + shift)


@settings(max_examples=25, deadline=None)
@given(factor=st.floats(0.5, 3), shift=st.floats(-2, 3))
def test_what_scores_mean_is_found(factor: float, shift: float) -> None:
    found = fitted(*events(factor, shift), AS_IT_IS, NOT_HELD)
    assert found == pytest.approx((factor, shift), abs=0.25)


def test_events_that_tell_everything_or_nothing_are_held_to_what_fits_others() -> None:
    around, hold = Scale(1.5, 0.5), Scale(5.0, 0.5)
    empty = np.array([], float)
    assert fitted(empty, empty > 0, around, hold) == pytest.approx(around)
    apart = fitted(np.array([-3.0, 3.0]), np.array([False, True]), around, hold)
    assert apart == pytest.approx(around, abs=0.2), "two events that agree make nobody certain"
    never = fitted(np.full(10_000, -9.0), np.zeros(10_000, bool), around, hold)
    assert never == pytest.approx(around, abs=0.1)


BETWEEN = 24
"""Steps from one event to the next."""


def heard(*labels: tuple[float, float]) -> HeardScenes:
    """Scenes in which the scores of each label's events mean what its pair says; a last label never sounds."""
    told = [events(*pair, count=3_000) for pair in labels]
    scores = [spread(probability(logits), 0.001) for logits, _ in told]
    targets = [spread(right, 0) for _, right in told]
    never = np.full((300, 10 * BETWEEN), 0.01)
    names = [f"label {number}" for number in range(len(labels) + 1)]
    stacked = (np.stack(part, axis=2).astype(np.float32) for part in ([*scores, never], [*targets, never * 0]))
    return HeardScenes(names, names, *stacked, 1.0, "300", 1)


def spread(values: np.ndarray, between: float) -> np.ndarray:
    """Ten a scene, each for a step."""
    scenes = np.full((300, 10, BETWEEN), between)
    scenes[:, :, BETWEEN // 2] = values.reshape(300, 10)
    return scenes.reshape(300, 10 * BETWEEN)


def test_labels_of_other_tempers_come_to_say_the_same() -> None:
    pairs = (1.0, 0.0), (2.0, 1.0), (1.0, -1.5)
    scenes = heard(*pairs)
    found = scales(scenes)
    assert list(found) == scenes.labels
    for (factor, shift), one in zip(pairs, found.values(), strict=False):
        assert one == pytest.approx((factor, shift), abs=0.3)
    factor, shift = found["label 3"]
    assert 1 < factor < 2, "nobody heard it: as the others"
    assert -1.5 < shift < 1


def test_what_is_near_a_sound_of_its_kind_is_neither_right_nor_wrong() -> None:
    scenes = heard((1.0, 0.0), (1.0, 0.0))
    assert scales(scenes)["label 0"] == pytest.approx((1.0, 0.0), abs=0.3)
    targets = scenes.targets.copy()
    maybe = 0.3 * (scenes.scores[:, :, 0] > 0.01)  # wherever it is heard, something like it sounds
    targets[:, :, 0] = np.maximum(targets[:, :, 0], np.roll(maybe, NEAR, axis=1))
    assert scales(scenes._replace(targets=targets))["label 0"].shift > 2, "what is left is right"


def test_where_nothing_sounds_that_is_said() -> None:
    with pytest.raises(WrongUse, match="in none of the scenes"):
        scales(heard())


def student(size: str, folder: Path) -> Path:
    config = DistillConfig(size=size, **(WARM if size in WARM_SIZES else {}))  # type: ignore[arg-type]
    torch.manual_seed(0)
    model = new_student(config, 3)
    for name, weight in model.named_parameters():
        if name.startswith(HEADS):
            nn.init.normal_(weight, std=0.1 if name.endswith("weight") else 0.0)
    content = {"config": config.plain(), "labels": ["Dog", "Cat", "Rain"], "model": model.state_dict(), "raw": {}}
    save_checkpoint(folder / "student.pt", STUDENT, {**content, "step": 3})
    return folder / "student.pt"


@pytest.mark.parametrize("size", ["warm-nano", "nano", CNN])
def test_a_rescaled_student_keeps_every_order_and_says_what_scales_say(
    size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = student(size, tmp_path)
    (tmp_path / "pool").mkdir()
    pool, out = pool_of(tmp_path / "pool", ["Cat", "Dog"]), tmp_path / "rescaled.pt"
    assert call("trainer.rescale", main, path, "--scenes", pool, "--most", "8", "--out", out) == 0
    assert f"wrote {out}: " in capsys.readouterr().out
    (before, *_), (after, config, labels, record) = load_student(path), load_student(out)
    assert record["step"] == 3
    assert [label.name for label in labels] == [label.name for label in load_student(path)[2]]
    assert "raw" not in load_checkpoint(out, STUDENT)
    frames = torch.randn(8, 192, config.spec.width)
    with torch.inference_mode():
        old, new = (_logits(model, frames) for model in (before, after))
    for label in range(old.shape[-1]):
        assert (np.diff(new[old[:, label].argsort(kind="stable"), label]) >= -1e-4).all()
    assert not np.allclose(old, new, atol=0.05)


def test_what_is_no_student_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.pt").write_text("no checkpoint")
    (tmp_path / "pool").mkdir()
    pool = pool_of(tmp_path / "pool", ["Dog"])
    assert call("trainer.rescale", main, tmp_path / "x.pt", "--scenes", pool, "--out", tmp_path / "y.pt") in (1, 2)
    assert "x.pt" in capsys.readouterr().err
    assert not (tmp_path / "y.pt").exists()


def _logits(model: nn.Module, frames: torch.Tensor) -> np.ndarray:
    made = model(frames)
    logits = made[0].frames.flatten(0, 1) if isinstance(made, tuple) else made
    return np.asarray(logits)
