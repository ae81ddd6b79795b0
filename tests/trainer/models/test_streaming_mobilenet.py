"""The warm-started student: it begins as the teacher that it came from, and hears a stream however it is cut."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from asit_edge.model.frontend import log_mel
from trainer.data.mixing import coloured_noise
from trainer.models.chunked import folded
from trainer.models.mobilenet import MobileNet
from trainer.models.streaming_mobilenet import FIRST, StreamMobile, WarmConfig
from trainer.models.streaming_vit import Logits, Memory
from trainer.models.teacher_picture import TeacherPicture, warm_front_end
from trainer.teachers.live import HalfRateMel

SMALL = {"width": 16, "depth": 2, "heads": 2, "context": 4, "trunk": 0.1}
CONFIGS = {
    "early": WarmConfig(**SMALL, window=96),
    "late": WarmConfig(**SMALL, split=13, window=64, squeezed=3, judged=1),
}
CLASSES = 5


def teacher(width: float = 0.1) -> MobileNet:
    """Random weights, and batch norms that have seen some sound: nothing fades on its way through the layers."""
    torch.manual_seed(0)
    network = MobileNet(width, CLASSES).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.normal_(module.bias, std=0.3)
            module.momentum = 0.5
    with torch.no_grad():
        for _ in range(6):
            network(torch.randn(4, 1, 103, 128))
    return network.eval()


def model_of(config: WarmConfig) -> StreamMobile:
    """A student in which all that a chunk sees matters to its scores."""
    model = StreamMobile(config, CLASSES, warm_front_end()).eval()
    model.begin_with(teacher(), range(CLASSES))
    torch.manual_seed(1)
    for part in (model.token, model.correction, *model.blocks):
        for parameter in part.parameters():
            nn.init.normal_(parameter, std=0.3)
    return model


MODELS = {name: model_of(config) for name, config in CONFIGS.items()}


@torch.no_grad()
def stream(model: StreamMobile, heard: torch.Tensor, memory: Memory, pieces: list[int]) -> tuple[Logits, Memory]:
    made = []
    for piece in heard.split([piece * model.config.frames for piece in pieces], dim=1):
        logits, memory = model(piece, memory)
        made.append(logits)
    return Logits(*(torch.cat(parts, dim=1) for parts in zip(*made, strict=True))), memory


def sound(chunks: int, seed: int, batch: int = 1) -> torch.Tensor:
    return 0.3 * torch.randn(batch, chunks * 32, 103, generator=torch.Generator().manual_seed(seed)) - 0.2


@pytest.mark.parametrize("name", CONFIGS)
@settings(max_examples=10)
@given(pieces=st.lists(st.integers(1, 3), min_size=1, max_size=5), seed=st.integers(0, 2**31))
def test_any_split_of_a_stream_gives_the_offline_result(name: str, pieces: list[int], seed: int) -> None:
    model = MODELS[name]
    heard = sound(sum(pieces), seed)
    whole, after = stream(model, heard, model.silent_memory(), [sum(pieces)])
    in_pieces, later = stream(model, heard, model.silent_memory(), pieces)
    assert (whole.frames - in_pieces.frames).abs().max() < 1e-4
    assert max(float((a - b).abs().max()) for a, b in zip(after, later, strict=True)) < 1e-4


@pytest.mark.parametrize("name", CONFIGS)
def test_streams_of_a_batch_do_not_hear_each_other(name: str) -> None:
    model = MODELS[name]
    heard = sound(4, 3, batch=2)
    memory = [cache.expand(2, *cache.shape[1:]) for cache in model.silent_memory()]
    together, _ = stream(model, heard, memory, [1] * 4)
    alone, _ = stream(model, heard[1:], model.silent_memory(), [1] * 4)
    assert (together.frames[1] - alone.frames[0]).abs().max() < 1e-4


@pytest.mark.parametrize("name", CONFIGS)
def test_scores_do_not_depend_on_what_comes_later(name: str) -> None:
    model = MODELS[name]
    heard = sound(6, 4)
    changed = heard.clone()
    changed[:, 4 * 32 :] += 1
    before, after = (stream(model, one, model.silent_memory(), [6])[0].frames for one in (heard, changed))
    assert torch.allclose(before[:, :8], after[:, :8], atol=1e-5)
    assert (before[:, 8:] - after[:, 8:]).abs().max() > 1e-3


@pytest.mark.parametrize("name", CONFIGS)
def test_a_memory_has_the_shapes_and_names_that_a_bundle_lists_and_silence_changes_nothing(name: str) -> None:
    model = MODELS[name]
    memory = model.silent_memory()
    assert [cache.shape for cache in memory] == [cache.shape for cache in model.empty_memory()]
    assert len(set(model.cache_names)) == len(memory)
    silence = torch.full((1, 32, 103), model.silence)
    after = stream(model, silence, memory, [1])[1]
    assert max(float((a - b).abs().max()) for a, b in zip(memory, after, strict=True)) < 1e-4


def test_a_new_student_is_its_teacher_on_the_window_that_it_sees() -> None:
    """Where everything before the window is silence too, its first layers see what the teacher's see."""
    network, config = teacher(), CONFIGS["early"]
    model = StreamMobile(config, CLASSES, warm_front_end()).eval()
    model.begin_with(network, range(CLASSES))
    heard = sound(1, 5)
    with torch.no_grad():
        picture = model.picture(torch.cat((torch.full((1, 64, 103), model.silence), heard), dim=1))
        columns = picture.transpose(1, 2)[:, None]
        expected = network.features(columns)
        assert folded(network.features)(columns).sub(expected).abs().max() < 1e-4
        ours = model(heard)[0].frames[0, -1]
        theirs = network.classifier(expected)[0]
    # Not the same: the first layers do not look ahead of a chunk, and squeeze the last second only.
    assert torch.corrcoef(torch.stack((ours, theirs)))[0, 1] > 0.9


def test_the_first_layers_never_learn_and_the_others_when_they_may() -> None:
    model = model_of(CONFIGS["late"])
    for learn in (False, True):
        model.learn_convolutions(learn)
        layers = list(model.features)
        assert not any(parameter.requires_grad for layer in layers[:FIRST] for parameter in layer.parameters())
        assert all(parameter.requires_grad == learn for layer in layers[FIRST:] for parameter in layer.parameters())
        assert all(parameter.requires_grad for parameter in model.correction.parameters())


def test_our_front_end_gives_the_picture_that_the_teacher_was_trained_on() -> None:
    rng = np.random.default_rng(0)
    spec = warm_front_end()
    noise = (0.05 * coloured_noise(16_000, 1.0, rng)).astype(np.float32)
    theirs = HalfRateMel()(torch.from_numpy(noise)[None])[0, 0, : spec.mels]
    # Their frames are centred, ours begin with the first sample.
    ours = TeacherPicture(spec)(torch.from_numpy(log_mel(spec, np.pad(noise, (200, 200))))[None])[0].T
    assert (ours[:, 2:97] - theirs[:, 2:97]).abs().mean() < 0.02
    # Ours takes the mean off every frame: the lowest three bins know less of what is below 50 Hz.
    assert (ours[3:, 2:97].mean(dim=1) - theirs[3:, 2:97].mean(dim=1)).abs().max() < 0.03


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"split": 9}, "split"),
        ({"window": 100}, "window"),
        ({"chunk": 1}, "chunk"),
        ({"judged": 7}, "judged"),
        ({"heads": 5}, "heads"),
    ],
)
def test_sizes_that_cannot_be_are_refused(wrong: dict[str, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        WarmConfig(**wrong)
