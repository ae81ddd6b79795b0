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
from trainer.models.streaming_mobilenet import WARM_SIZES
from trainer.rescale import main
from trainer.run.checkpoint import load_checkpoint, save_checkpoint
from trainer.students.config import CNN, WARM, DistillConfig
from trainer.students.student import HEADS, STUDENT, load_student, new_student

NOT_HELD = Scale(0.0, 0.0)


def probability(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-logits)))


def moments(factor: float, shift: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits as a student gives them, which mean what `factor` and `shift` make of them, and what was there."""
    rng = np.random.default_rng(0)
    logits = rng.normal(-2, 2, count)
    return logits, rng.random(count) < probability(factor * logits + shift)


@settings(max_examples=25, deadline=None)
@given(factor=st.floats(0.5, 3), shift=st.floats(-2, 3))
def test_what_scores_mean_is_found(factor: float, shift: float) -> None:
    found = fitted(*moments(factor, shift), AS_IT_IS, NOT_HELD)
    assert found == pytest.approx((factor, shift), abs=0.25)


def test_moments_that_tell_everything_or_nothing_are_held_to_what_fits_others() -> None:
    around, hold = Scale(1.5, 0.5), Scale(5.0, 0.5)
    empty = np.array([], float)
    assert fitted(empty, empty > 0, around, hold) == pytest.approx(around)
    apart = fitted(np.array([-3.0, 3.0]), np.array([False, True]), around, hold)
    assert apart == pytest.approx(around, abs=0.2), "two moments that agree make nobody certain"
    never = fitted(np.full(10_000, -9.0), np.zeros(10_000, bool), around, hold)
    assert never == pytest.approx(around, abs=0.1)


def heard(*labels: tuple[float, float]) -> HeardScenes:
    """Scenes in which each label's scores mean what its pair says; a last label never sounds."""
    told = [moments(*pair, count=200 * 60) for pair in labels]
    never = np.full((200, 60), 0.01, np.float32)
    scores = [*(probability(logits).reshape(200, 60) for logits, _ in told), never]
    targets = [*(there.reshape(200, 60) for _, there in told), never * 0]
    names = [f"label {number}" for number in range(len(scores))]
    stacked = (np.stack(part, axis=2).astype(np.float32) for part in (scores, targets))
    return HeardScenes(names, names, *stacked, 1.0, "200", 1)


def test_labels_of_other_tempers_come_to_say_the_same() -> None:
    pairs = (1.0, 0.0), (2.0, 1.0), (1.0, -1.5)
    scenes = heard(*pairs)
    found = scales(scenes)
    assert list(found) == scenes.labels
    for (factor, shift), one in zip(pairs, found.values(), strict=False):
        assert one == pytest.approx((factor, shift), abs=0.2)
    factor, shift = found["label 3"]
    assert 1 < factor < 2, "nobody heard it: as the others"
    assert -1.5 < shift < 1


def test_where_nothing_sounds_that_is_said() -> None:
    with pytest.raises(WrongUse, match="in none of the scenes"):
        scales(heard())


def student(size: str, folder: Path) -> Path:
    config = DistillConfig(size=size, **(WARM if size in WARM_SIZES else {}))  # type: ignore[arg-type]
    torch.manual_seed(0)
    model = new_student(config, 3)
    for name, weight in model.named_parameters():
        if name.startswith(HEADS) and name.endswith("weight"):
            nn.init.normal_(weight)
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
