"""The schedules against DINO's arrays, spelled out in NumPy."""

import numpy as np
import pytest

from trainer.run.schedules import cosine, teacher_temperature, warm_up_cosine


def test_cosine() -> None:
    steps = 50
    expected = 0.4 + 0.5 * (0.04 - 0.4) * (1 + np.cos(np.pi * np.arange(steps) / steps))
    np.testing.assert_allclose([cosine(step, steps, 0.04, 0.4) for step in range(steps)], expected)
    assert cosine(steps, steps, 0.996, 1.0) == cosine(steps + 9, steps, 0.996, 1.0) == 1.0


@pytest.mark.parametrize("warm_up", [0, 1, 10])
def test_learning_rate(warm_up: int) -> None:
    steps, peak, final = 60, 5e-4, 1e-6
    rest = np.arange(steps - warm_up)
    decay = final + 0.5 * (peak - final) * (1 + np.cos(np.pi * rest / len(rest)))
    expected = np.concatenate((np.linspace(0, peak, warm_up), decay))
    ours = [warm_up_cosine(step, steps, warm_up, peak, final, from_zero=True) for step in range(steps)]
    np.testing.assert_allclose(ours, expected, atol=1e-12)


@pytest.mark.parametrize("warm_up", [0, 1, 5, 30])
def test_teacher_temperature(warm_up: int) -> None:
    expected = np.concatenate((np.linspace(0.04, 0.07, warm_up) if warm_up > 1 else [], np.full(40, 0.07)))
    ours = [teacher_temperature(epoch, warm_up, 0.04, 0.07) for epoch in range(40)]
    np.testing.assert_allclose(ours, expected[:40])
