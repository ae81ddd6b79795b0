"""Convolutions that follow a stream chunk by chunk: what they remember of it, and a teacher's layers made ready for it.

Shape suffixes: B batch, N chunks, Z = B*N, C channels, F rows (frequency), T columns (time).
"""

from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from trainer.models.depthwise import DepthwiseConv
from trainer.models.mobilenet import InvertedResidual, MobileNet, SqueezeExcitation

Memory = list[Tensor]

ALIGNED = 64
"""GPUs want the state of a stream to be a whole number of 256 bytes."""

LEAST_KERNEL = 3
"""Gradients of larger depthwise kernels, which meet small maps, are computed as matrices."""


def packed(caches: Memory) -> Tensor:
    """Caches of any shapes (B, ...) as one (B, numbers), made up to a whole number of `ALIGNED`."""
    flat = torch.cat([cache.flatten(1) for cache in caches], dim=1)
    return nnf.pad(flat, (0, -flat.shape[1] % ALIGNED))


def classifier_of(teacher: MobileNet) -> tuple[nn.Linear, nn.Linear]:
    """The two layers of a teacher's classifier."""
    hidden, head = (layer for layer in teacher.classifier if isinstance(layer, nn.Linear))
    return hidden, head


def folded(layers: nn.Sequential) -> nn.Sequential:
    """A copy in which every batch norm, as it is in evaluation, has become part of the convolution before it."""
    copied = deepcopy(layers).eval()
    for parent in list(copied.modules()):
        if isinstance(parent, nn.Sequential) and len(parent) > 1 and isinstance(parent[1], nn.BatchNorm2d):
            convolution = parent[0]
            assert isinstance(convolution, nn.Conv2d)
            fused = fuse_conv_bn_eval(convolution, parent[1])
            wide = fused.groups > 1 and fused.kernel_size[0] > LEAST_KERNEL
            parent[0] = DepthwiseConv.of(fused) if wide else fused
            parent[1] = nn.Identity()
    return copied.requires_grad_(True)


def through(
    layer: nn.Module, x: Tensor, chunks: int, squeezed: int, caches: Memory | None, remembered: Memory
) -> Tensor:
    """A layer before the split on chunks (Z, C, F, T), those of a stream in a row."""
    if isinstance(layer, nn.Sequential):
        for inner in layer:
            x = through(inner, x, chunks, squeezed, caches, remembered)
        return x
    if isinstance(layer, InvertedResidual):
        out = through(layer.block, x, chunks, squeezed, caches, remembered)
        return x + out if layer.residual else out
    if isinstance(layer, nn.Conv2d) and layer.kernel_size[1] > 1:
        return look_back(layer, x, chunks, caches, remembered)
    if isinstance(layer, SqueezeExcitation):
        return squeeze(layer, x, chunks, squeezed, caches, remembered)
    return layer(x)  # type: ignore[no-any-return]


def look_back(layer: nn.Conv2d, x_ZCFT: Tensor, chunks: int, caches: Memory | None, remembered: Memory) -> Tensor:
    """A convolution that finds the columns before a chunk in the chunk before it; after a chunk it finds zeros."""
    rows, reach = (int(size) for size in layer.padding)
    columns = x_ZCFT.shape[3]
    ends_ZCFT = x_ZCFT[..., columns - reach :]
    if chunks == 1:
        before = caches.pop(0) if caches is not None else torch.zeros_like(ends_ZCFT)
        remembered.append(ends_ZCFT)
    else:
        ends_BNCFT = ends_ZCFT.unflatten(0, (-1, chunks))
        first = caches.pop(0)[:, None] if caches is not None else torch.zeros_like(ends_BNCFT[:, :1])
        remembered.append(ends_BNCFT[:, -1])
        before = torch.cat((first, ends_BNCFT[:, :-1]), dim=1).flatten(0, 1)
    # What lies after the chunk matters only to the last place of the kernel.
    ahead = (columns - 1) // layer.stride[1] * layer.stride[1] + reach - (columns - 1)
    padded = nnf.pad(torch.cat((before, x_ZCFT), dim=3), (0, max(ahead, 0)))
    return nnf.conv2d(padded, layer.weight, layer.bias, layer.stride, (rows, 0), 1, layer.groups)


def squeeze(
    layer: SqueezeExcitation, x_ZCFT: Tensor, chunks: int, squeezed: int, caches: Memory | None, remembered: Memory
) -> Tensor:
    """Squeeze-excitation by the mean of the last `squeezed` chunks; before a stream's beginning all was zero."""
    mean_BNC = x_ZCFT.mean(dim=(2, 3)).unflatten(0, (-1, chunks))
    past = caches.pop(0) if caches is not None else torch.zeros_like(mean_BNC[:, :1]).repeat(1, squeezed - 1, 1)
    known = torch.cat((past, mean_BNC), dim=1)
    remembered.append(known[:, chunks:])
    if chunks == 1:
        lately = known.mean(dim=1, keepdim=True)
    else:
        lately = torch.stack([known[:, shift : shift + chunks] for shift in range(squeezed)]).mean(dim=0)
    inner: Any = layer.conc_se_layers[0]
    scale = torch.sigmoid(inner.fc2(torch.relu(inner.fc1(lately.flatten(0, 1)))))
    return x_ZCFT * scale[:, :, None, None]


def out_channels(layer: nn.Module) -> int:
    return [module for module in layer.modules() if isinstance(module, nn.Conv2d)][-1].out_channels
