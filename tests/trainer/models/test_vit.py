"""The backbone: timm's names and shapes, tokens in time-major order, positions that follow the grid."""

import pytest
import torch

from trainer.models.vit import SIZES, ViT, ViTConfig, attend, stretch_positions, vit_config


def test_names_and_shapes_are_timms() -> None:
    """The state dict of timm's `deit_tiny_patch16_224`, but for one input channel, our grid, and no classifier."""
    shapes = {name: tuple(value.shape) for name, value in ViT(vit_config("tiny", 592)).state_dict().items()}
    expected = {
        "cls_token": (1, 1, 192),
        "pos_embed": (1, 297, 192),
        "patch_embed.proj.weight": (192, 1, 16, 16),
        "patch_embed.proj.bias": (192,),
        "norm.weight": (192,),
        "norm.bias": (192,),
    }
    for block in range(12):
        for name, shape in {
            "norm1.weight": (192,),
            "norm1.bias": (192,),
            "attn.qkv.weight": (576, 192),
            "attn.qkv.bias": (576,),
            "attn.proj.weight": (192, 192),
            "attn.proj.bias": (192,),
            "norm2.weight": (192,),
            "norm2.bias": (192,),
            "mlp.fc1.weight": (768, 192),
            "mlp.fc1.bias": (768,),
            "mlp.fc2.weight": (192, 768),
            "mlp.fc2.bias": (192,),
        }.items():
            expected[f"blocks.{block}.{name}"] = shape
    assert shapes == expected


@pytest.mark.parametrize(("size", "millions"), [("nano", 1.3), ("tiny", 5.4), ("small", 21.5), ("base", 85.5)])
def test_sizes_are_the_papers(size: str, millions: float) -> None:
    with torch.device("meta"):
        parameters = sum(parameter.numel() for parameter in ViT(vit_config(size, 592)).parameters())
    assert parameters / 1e6 == pytest.approx(millions, abs=0.1)


def test_tokens_are_time_major() -> None:
    """A change in time patch 2, frequency patch 5 changes the patch embedding of token 2 * 8 + 5 alone."""
    model = ViT(ViTConfig(32, 1, 2, frames=64)).eval()
    spectrogram = torch.zeros(1, 64, 128)
    changed = spectrogram.clone()
    changed[:, 2 * 16 : 3 * 16, 5 * 16 : 6 * 16] = 1
    difference = (model.patch_embed(changed) - model.patch_embed(spectrogram)).abs().sum(dim=-1)[0]
    assert difference.nonzero().flatten().tolist() == [2 * 8 + 5]
    assert model(changed).shape == (1, 1 + 4 * 8, 32)


def test_other_lengths_stretch_the_positions() -> None:
    model = ViT(ViTConfig(32, 1, 2, frames=64)).eval()
    assert model(torch.zeros(2, 192, 128)).shape == (2, 1 + 12 * 8, 32)
    positions = torch.randn(1, 1 + 6 * 8, 16)
    assert torch.equal(stretch_positions(positions, (6, 8), (6, 8)), positions)
    stretched = stretch_positions(positions, (6, 8), (3, 8))
    assert stretched.shape == (1, 1 + 3 * 8, 16)
    assert torch.equal(stretched[:, 0], positions[:, 0])
    constant = torch.full((1, 1 + 6 * 8, 4), 2.5)
    assert torch.allclose(stretch_positions(constant, (6, 8), (9, 8)), torch.full((1, 1 + 9 * 8, 4), 2.5), atol=1e-5)


def test_drop_path_acts_in_training_only() -> None:
    torch.manual_seed(0)
    model = ViT(ViTConfig(32, 4, 2, frames=32, drop_path=0.5))
    x = torch.randn(8, 32, 128)
    model.eval()
    assert torch.equal(model(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 10, "depth": 1, "heads": 3}, "width"),
        ({"width": 12, "depth": 1, "heads": 3, "frames": 100}, "frames"),
        ({"width": 12, "depth": 1, "heads": 3, "mels": 0}, "mels"),
    ],
)
def test_impossible_sizes_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ViTConfig(**settings)


def test_an_unknown_size_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=", ".join(SIZES)):
        vit_config("huge", 592)


def test_attention_in_bfloat16_is_that_in_float32() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 20, 16, requires_grad=True) for _ in range(3))
    attend(query, key, value).square().sum().backward()
    exact = [tensor.grad for tensor in (query, key, value)]
    rounded = [tensor.detach().bfloat16().requires_grad_() for tensor in (query, key, value)]
    attended = attend(*rounded)
    assert attended.dtype == torch.bfloat16
    torch.testing.assert_close(attended.float(), attend(query, key, value), rtol=0.05, atol=0.05)
    attended.float().square().sum().backward()
    for rough, true in zip((tensor.grad for tensor in rounded), exact, strict=True):
        assert rough is not None
        assert true is not None
        torch.testing.assert_close(rough.float(), true, rtol=0.05, atol=0.2)
