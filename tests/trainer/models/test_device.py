"""The one door from a network to the device's classifier."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from asit_edge.model.classifier import SlidingWindow
from asit_edge.model.frontend import FrontEnd
from trainer.models.cnn import WindowCnn
from trainer.models.device import CNN_INTERVAL, WINDOW_INTERVAL, device_classifier, stream_of, window_shape
from trainer.models.finetuned import StreamNetwork, WindowNetwork
from trainer.models.streaming_vit import Stage, StreamConfig, StreamViT
from trainer.models.vit import vit_config

SPEC = FrontEnd()
SMALL = StreamConfig(stages=(Stage(16, 1, 2, 4),), stem=(4, 4, 8), chunk=3)


@pytest.mark.parametrize(
    ("stride", "head", "steps"), [(16, "clip", 1), (16, "frame", 3), (8, "frame", 6)], ids=["clip", "frame", "overlap"]
)
def test_a_window_model_decides_every_time_patch_that_is_new(stride: int, head: str, steps: int) -> None:
    backbone = replace(vit_config("nano", 96), stride=stride)
    network = WindowNetwork(backbone, 2, head).eval()  # type: ignore[arg-type]
    classifier = device_classifier(network, SPEC)
    assert isinstance(classifier, SlidingWindow)
    assert (classifier.chunk, classifier.steps) == (WINDOW_INTERVAL, steps)
    window = torch.randn(1, 96, SPEC.mels)
    scores = classifier.step(window[:, 48:].numpy(), [window[0].roll(48, 0).numpy()])
    expected = network(window).sigmoid().detach()
    newest = expected[:, None] if head == "clip" else expected[:, -steps:]
    np.testing.assert_allclose(scores, newest.numpy(), atol=1e-6)


def test_the_cnn_decides_as_often_as_a_stream() -> None:
    shape = window_shape(WindowCnn(2))
    assert (shape.frames, shape.interval, shape.steps) == (192, CNN_INTERVAL, 1)


def test_a_stream_is_found_in_what_was_made_of_it() -> None:
    bare, tuned = StreamViT(SMALL, 2, SPEC.silence), StreamNetwork(SMALL, 2, SPEC)
    assert stream_of(bare) is bare
    assert stream_of(tuned) is tuned.student
    assert stream_of(WindowCnn(2)) is None
    for network in (bare, tuned):
        classifier = device_classifier(network, SPEC)
        assert (classifier.chunk, classifier.steps) == (48, 3)
        scores = classifier.step(np.zeros((1, 48, SPEC.mels), np.float32), [classifier.open()])
        assert scores.shape == (1, 3, 2)
