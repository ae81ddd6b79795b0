"""Scores on a teacher's scale: lines are found, ranking stays, and the network itself answers on them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asit_edge.model.frontend import FrontEnd
from trainer.distillation.rescaling import NARROWEST, WIDEST, Line, fit_line, logits, rescaled
from trainer.models.streaming import StreamingModel
from trainer.models.streaming_mobilenet import StreamMobile, WarmConfig
from trainer.models.streaming_vit import Stage, StreamConfig, StreamViT


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


@settings(max_examples=30)
@given(scale=st.floats(0.5, 2.0), shift=st.floats(-3.0, 3.0), seed=st.integers(0, 99))
def test_a_line_that_is_there_is_found(scale: float, shift: float, seed: int) -> None:
    student = sigmoid(np.random.default_rng(seed).normal(-2, 2, 4000))
    teacher = sigmoid(scale * logits(student) + shift)
    line = fit_line(student, teacher)
    assert np.abs(sigmoid(line.scale * logits(student) + line.shift) - teacher).max() < 0.02


def test_a_label_of_which_scenes_say_nothing_stays_nearly_as_it_was() -> None:
    line = fit_line(np.full(1000, 1e-5), np.zeros(1000))
    assert line.scale == pytest.approx(1, abs=0.5)
    assert abs(line.shift) < 1


def test_a_teacher_that_never_believes_in_it_turns_nothing_round() -> None:
    rising = sigmoid(np.linspace(-3, 3, 500))
    line = fit_line(rising, 1 - rising)
    assert NARROWEST <= line.scale <= WIDEST


SMALL = WarmConfig(trunk=0.1, width=24, depth=1, heads=2)


@pytest.mark.parametrize(
    "model",
    [
        StreamMobile(SMALL, 4, FrontEnd(mels=SMALL.mels)),
        StreamViT(StreamConfig((Stage(24, 1, 2, 8),)), 4, 0.0),
    ],
    ids=["warm", "vit"],
)
def test_the_rescaled_network_answers_on_the_lines_and_else_as_before(model: StreamingModel) -> None:
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    heard = torch.randn(1, 4 * 32, model.config.mels)
    with torch.inference_mode():
        before = model.eval()(heard)[0]
        model.load_state_dict(rescaled(model.state_dict(), {1: Line(0.5, -2.0), 3: Line(2.0, 1.0)}))
        after = model(heard)[0]
    for was, now in zip(before, after, strict=True):
        torch.testing.assert_close(now[..., [0, 2]], was[..., [0, 2]])
        torch.testing.assert_close(now[..., 1], 0.5 * was[..., 1] - 2, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(now[..., 3], 2 * was[..., 3] + 1, atol=1e-4, rtol=1e-4)
