"""Depthwise convolutions over small maps, as matrices: their gradients cost a processor a fraction.

Where a map is hardly larger than the kernel, a library's convolution spends its time at the edges. There a channel's
convolution is a small matrix (places out, places in) made of the kernel's values, and all maps of a batch are its
columns. Only the gradient gains; without one the convolution is computed as ever, and so it is exported.

Shape suffixes: C channels, O places out, I places in, B batch.
"""

from functools import cache

import torch
from torch import Tensor, nn

PLACES = 64
"""Largest map: rows times columns."""


class DepthwiseConv(nn.Conv2d):
    """An `nn.Conv2d` with a kernel a channel."""

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> "DepthwiseConv":
        """The same convolution with the same weights. Raises ValueError where it is not depthwise."""
        channels = convolution.in_channels
        if not channels == convolution.out_channels == convolution.groups or convolution.bias is None:
            raise ValueError(f"no depthwise convolution with a bias: {convolution}")
        made = cls(
            channels,
            channels,
            convolution.kernel_size,  # type: ignore[arg-type]
            convolution.stride,  # type: ignore[arg-type]
            convolution.padding,  # type: ignore[arg-type]
            groups=channels,
        )
        made.load_state_dict(convolution.state_dict())
        return made

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[2:]
        if rows * columns > PLACES or not (self.training and self.weight.requires_grad):
            return super().forward(x)
        assert self.bias is not None
        which_OI, out = _places(tuple(self.kernel_size), tuple(self.stride), tuple(self.padding), (rows, columns))  # type: ignore[arg-type]
        kernel = torch.cat((self.weight.flatten(1), self.weight.new_zeros(len(self.weight), 1)), dim=1)
        matrix_COI = kernel[:, which_OI.to(x.device)]
        y_COB = torch.bmm(matrix_COI, x.permute(1, 2, 3, 0).flatten(1, 2).contiguous()) + self.bias[:, None, None]
        return y_COB.unflatten(1, out).permute(3, 0, 1, 2).contiguous(memory_format=torch.channels_last)


@cache
def _places(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], size: tuple[int, int]
) -> tuple[Tensor, tuple[int, int]]:
    """Which value of the flattened kernel leads from a place in to a place out (O, I), and the size of what comes out;
    one past the last value where none does."""
    high, wide = kernel
    rows, columns = ((size[i] + 2 * padding[i] - kernel[i]) // stride[i] + 1 for i in (0, 1))
    row = torch.arange(size[0])[None] - (torch.arange(rows) * stride[0] - padding[0])[:, None]
    column = torch.arange(size[1])[None] - (torch.arange(columns) * stride[1] - padding[1])[:, None]
    inside = ((row >= 0) & (row < high))[:, None, :, None] & ((column >= 0) & (column < wide))[None, :, None, :]
    which = row[:, None, :, None] * wide + column[None, :, None, :]
    return torch.where(inside, which, high * wide).reshape(rows * columns, -1), (rows, columns)
