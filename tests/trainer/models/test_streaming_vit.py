"""The streaming ViT: what a stream hears does not depend on how it is cut, how old it is, or who else is listening."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from trainer.models.streaming_vit import SIZES, STEP, Logits, Memory, Stage, StreamConfig, StreamViT

MELS, CLASSES, SILENCE = 32, 3, -1.25
STAGES = (Stage(16, 2, 2, 4), Stage(24, 1, 3, 5))
CONFIGS = {
    "patches": StreamConfig(stages=STAGES, mels=MELS, chunk=2),
    "stem": StreamConfig(stages=STAGES, stem=(4, 4, 8), mels=MELS, chunk=2, activation="relu"),
    "chunk of 1": StreamConfig(stages=STAGES, stem=(4, 4, 8), mels=MELS, chunk=1),
    "chunk of 3": StreamConfig(stages=(Stage(16, 2, 2, 7),), mels=MELS, chunk=3),
    "no context": StreamConfig(stages=(Stage(16, 1, 2, 0),), mels=MELS, chunk=2),
}


def model_of(config: StreamConfig) -> StreamViT:
    """Random weights, large enough that everything that a token sees matters to its scores."""
    torch.manual_seed(0)
    model = StreamViT(config, CLASSES, SILENCE).eval()
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, std=0.5 if "bias" in name or "embed" in name else 0.3)
    return model


MODELS = {name: model_of(config) for name, config in CONFIGS.items()}


def sound(chunks: int, config: StreamConfig, seed: int = 0, batch: int = 1) -> Tensor:
    return torch.randn(batch, chunks * config.frames, MELS, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def stream(model: StreamViT, log_mel: Tensor, memory: Memory, pieces: list[int]) -> tuple[Logits, Memory]:
    """Runs the pieces (in chunks) one after the other."""
    heard = []
    for piece in log_mel.split([piece * model.config.frames for piece in pieces], dim=1):
        logits, memory = model(piece, memory)
        heard.append(logits)
    return Logits(*(torch.cat(parts, dim=1) for parts in zip(*heard, strict=True))), memory


def difference(one: Logits, other: Logits) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", CONFIGS)
@settings(max_examples=25)
@given(pieces=st.lists(st.integers(1, 4), min_size=1, max_size=8), seed=st.integers(0, 2**31))
def test_any_split_of_a_stream_gives_the_offline_result(name: str, pieces: list[int], seed: int) -> None:
    model = MODELS[name]
    log_mel = sound(sum(pieces), model.config, seed)
    whole, after = stream(model, log_mel, model.silent_memory(), [sum(pieces)])
    in_pieces, later = stream(model, log_mel, model.silent_memory(), pieces)
    one_by_one, _ = stream(model, log_mel, model.silent_memory(), [1] * sum(pieces))
    assert difference(whole, in_pieces) < 1e-5
    assert difference(whole, one_by_one) < 1e-5
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(after, later, strict=True))


@pytest.mark.parametrize("name", CONFIGS)
def test_older_than_the_receptive_field_does_not_matter_and_younger_does(name: str) -> None:
    model = MODELS[name]
    config = model.config
    reach = -(-config.receptive_steps // config.chunk)
    log_mel = sound(reach + 3, config)
    whole, _ = stream(model, log_mel, model.silent_memory(), [reach + 3])
    forgotten = log_mel.clone()
    forgotten[:, : 2 * config.frames] = sound(2, config, seed=1)
    other, _ = stream(model, forgotten, model.silent_memory(), [reach + 3])
    assert torch.allclose(whole.frames[:, -config.chunk :], other.frames[:, -config.chunk :], atol=1e-6)
    remembered = log_mel.clone()
    remembered[:, -config.frames - STEP : -config.frames] += 1
    other, _ = stream(model, remembered, model.silent_memory(), [reach + 3])
    changed = float((whole.frames[:, -config.chunk :] - other.frames[:, -config.chunk :]).abs().max())
    assert changed > 1e-3 if config.stages[0].context else changed == 0


@pytest.mark.parametrize("name", CONFIGS)
def test_a_stream_of_any_age_hears_like_a_new_one(name: str) -> None:
    """Whatever a long past left in the memory, a receptive field of silence later it is that of a fresh start."""
    model = MODELS[name]
    config = model.config
    _, old = stream(model, 3 * sound(300, config), [cache * 100 for cache in model.silent_memory()], [100] * 3)
    silence = torch.full((1, config.frames, MELS), SILENCE)
    for _ in range(-(-config.receptive_steps // config.chunk) + 1):
        _, old = stream(model, silence, old, [1])
    fresh, _ = stream(model, sound(5, config, 7), model.silent_memory(), [5])
    aged, _ = stream(model, sound(5, config, 7), old, [1] * 5)
    assert difference(fresh, aged) < 1e-5


@pytest.mark.parametrize("name", CONFIGS)
def test_silence_leaves_the_initial_memory_as_it_is(name: str) -> None:
    model = MODELS[name]
    before = model.silent_memory()
    _, after = stream(model, torch.full((1, 4 * model.config.frames, MELS), SILENCE), before, [1] * 4)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(before, after, strict=True))


@settings(max_examples=25)
@given(seed=st.integers(0, 2**31), chunks=st.integers(1, 5))
def test_streams_in_one_batch_do_not_influence_each_other(seed: int, chunks: int) -> None:
    model = MODELS["stem"]
    both = sound(chunks, model.config, seed, batch=2) * torch.tensor([1.0, 100.0])[:, None, None]
    memory = [torch.cat((cache, cache)) for cache in model.silent_memory()]
    together, _ = stream(model, both, memory, [1] * chunks)
    for row in range(2):
        alone, _ = stream(model, both[row : row + 1], model.silent_memory(), [1] * chunks)
        assert torch.allclose(together.frames[row], alone.frames[0], atol=1e-5)


@pytest.mark.parametrize("name", ["patches", "stem", "chunk of 3"])
def test_a_chunk_hears_itself_in_both_directions_and_nothing_later(name: str) -> None:
    model = MODELS[name]
    chunk = model.config.chunk
    log_mel = sound(4, model.config)
    whole, _ = stream(model, log_mel, model.silent_memory(), [4])
    changed = log_mel.clone()
    changed[:, 2 * model.config.frames - STEP : 2 * model.config.frames] += 1
    other, _ = stream(model, changed, model.silent_memory(), [4])
    moved = (whole.frames - other.frames).abs().amax(dim=(0, 2))
    assert float(moved[:chunk].max()) == 0
    assert float(moved[chunk]) > 1e-3


def test_without_a_memory_attention_has_no_past() -> None:
    """Training begins its scenes in the middle of nowhere: what comes later is still the same rule."""
    model = MODELS["patches"]
    log_mel = sound(12, model.config)
    with torch.no_grad():
        bare, _ = model(log_mel)
        later, _ = model(log_mel[:, model.config.frames * 2 :])
    remembered, _ = stream(model, log_mel, model.silent_memory(), [12])
    reach = -(-model.config.receptive_steps // model.config.chunk) * model.config.chunk
    assert difference(Logits(*(part[:, -1:] for part in bare)), Logits(*(part[:, -1:] for part in remembered))) < 1e-5
    assert reach < 24
    assert not torch.allclose(bare.frames[:, 4], later.frames[:, 0], atol=1e-3)


@pytest.mark.parametrize(("name", "context"), [("nano", 3.84), ("tiny", 3.84)])
def test_the_named_sizes_remember_about_four_seconds_and_decide_every_third_of_one(name: str, context: float) -> None:
    config = SIZES[name]
    assert max(stage.context for stage in config.stages) * 0.16 == pytest.approx(context)
    assert config.frames * 0.01 == pytest.approx(0.32)
    model = StreamViT(config, 10, SILENCE)
    assert sum(parameter.numel() for parameter in model.parameters()) < 6.2e6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mels": 40}, "40 mel bins do not divide"),
        ({"mels": 16}, "for 2 stages"),
        ({"chunk": 7}, "from 1 to 6 time steps"),
        ({"stem": (4,)}, "stem must have 3 widths"),
        ({"stages": (Stage(16, 1, 3, 4),)}, "does not divide into 3 heads"),
        ({"stages": (Stage(16, 1, 2, -1),)}, "context must not be negative"),
    ],
)
def test_sizes_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StreamConfig(**{"stages": STAGES, "mels": MELS, **changes})  # type: ignore[arg-type]
