"""Depthwise convolutions as matrices: the same numbers and the same gradients as the library's."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from trainer.models.depthwise import PLACES, DepthwiseConv

SIZES = st.tuples(st.integers(1, 12), st.integers(1, 12))


@given(st.integers(1, 5), st.sampled_from([1, 3, 5, 7]), st.sampled_from([1, 2]), SIZES, st.integers(1, 4))
def test_what_it_computes_and_its_gradients_are_those_of_a_convolution(
    channels: int, kernel: int, stride: int, size: tuple[int, int], batch: int
) -> None:
    plain = nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels)
    ours = DepthwiseConv.of(plain)
    seen = torch.randn(batch, channels, *size).to(memory_format=torch.channels_last)
    theirs_in, ours_in = (seen.clone().requires_grad_(True) for _ in range(2))
    expected, found = plain(theirs_in), ours(ours_in)
    assert torch.allclose(found, expected, atol=1e-5)
    weights = torch.randn_like(expected)
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    assert plain.weight.grad is not None
    assert ours.weight.grad is not None
    assert ours.bias is not None
    assert torch.allclose(ours.weight.grad, plain.weight.grad, atol=1e-4)
    assert torch.allclose(ours.bias.grad, plain.bias.grad, atol=1e-4)  # type: ignore[arg-type, union-attr]
    assert torch.allclose(ours_in.grad, theirs_in.grad, atol=1e-5)  # type: ignore[arg-type]


def test_only_what_is_learnt_and_small_is_computed_as_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, products = DepthwiseConv.of(nn.Conv2d(3, 3, 5, 1, 2, groups=3)), []
    product = torch.bmm
    monkeypatch.setattr(torch, "bmm", lambda *operands: products.append(1) or product(*operands))
    small, large = torch.randn(2, 3, 4, 4), torch.randn(2, 3, PLACES, 4)
    layer(small)
    assert len(products) == 1
    layer(large)
    layer.requires_grad_(False)(small)
    layer.requires_grad_(True).eval()(small)
    assert len(products) == 1


def test_another_convolution_is_refused() -> None:
    with pytest.raises(ValueError, match="depthwise"):
        DepthwiseConv.of(nn.Conv2d(4, 8, 3))
