"""MobileNetV3-Large (arXiv 1905.02244) on spectrograms: EfficientAT's teachers (arXiv 2211.04772) and a CNN student.

Parameter names are those of EfficientAT's `mn` state dicts, which load as they are. Shape: (batch, 1, mels, frames).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Block:
    """An inverted residual: kernel, expanded and output channels at width 1, squeeze-excitation, h-swish, stride."""

    kernel: int
    expanded: int
    out: int
    squeeze: bool
    swish: bool
    stride: int


BLOCKS = (
    Block(3, 16, 16, False, False, 1),
    Block(3, 64, 24, False, False, 2),
    Block(3, 72, 24, False, False, 1),
    Block(5, 72, 40, True, False, 2),
    Block(5, 120, 40, True, False, 1),
    Block(5, 120, 40, True, False, 1),
    Block(3, 240, 80, False, True, 2),
    Block(3, 200, 80, False, True, 1),
    Block(3, 184, 80, False, True, 1),
    Block(3, 184, 80, False, True, 1),
    Block(3, 480, 112, True, True, 1),
    Block(3, 672, 112, True, True, 1),
    Block(5, 672, 160, True, True, 2),
    Block(5, 960, 160, True, True, 1),
    Block(5, 960, 160, True, True, 1),
)


def channels(count: float, divisor: int = 8) -> int:
    """The nearest multiple of eight that is not a tenth below `count`."""
    rounded = max(divisor, int(count + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * count else rounded


class MobileNet(nn.Module):
    """Spectrograms (batch, 1, mels, frames) of any length to logits (batch, classes)."""

    def __init__(self, width: float, classes: int) -> None:
        super().__init__()
        first = channels(16 * width)
        layers: list[nn.Module] = [_convolution(1, first, 3, 2, nn.Hardswish())]
        before = first
        for block in BLOCKS:
            layers.append(InvertedResidual(before, block, width))
            before = channels(block.out * width)
        last = 6 * before
        layers.append(_convolution(before, last, 1, 1, nn.Hardswish()))
        self.features = nn.Sequential(*layers)
        hidden = channels(1280 * width)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(last, hidden),
            nn.Hardswish(),
            nn.Dropout(0.2),
            nn.Linear(hidden, classes),
        )

    def forward(self, spectrogram: Tensor) -> Tensor:
        return self.classifier(self.features(spectrogram))  # type: ignore[no-any-return]


class InvertedResidual(nn.Module):
    def __init__(self, before: int, block: Block, width: float) -> None:
        super().__init__()
        expanded, out = channels(block.expanded * width), channels(block.out * width)
        activation: type[nn.Module] = nn.Hardswish if block.swish else nn.ReLU
        layers: list[nn.Module] = []
        if expanded != before:
            layers.append(_convolution(before, expanded, 1, 1, activation()))
        layers.append(_convolution(expanded, expanded, block.kernel, block.stride, activation(), groups=expanded))
        if block.squeeze:
            layers.append(SqueezeExcitation(expanded))
        layers.append(_convolution(expanded, out, 1, 1, None))
        self.block = nn.Sequential(*layers)
        self.residual = block.stride == 1 and before == out

    def forward(self, x: Tensor) -> Tensor:
        out = self.block(x)
        return x + out if self.residual else out


class SqueezeExcitation(nn.Module):
    """Scales channels by what the whole picture says of them; the nesting of names is EfficientAT's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList([_Squeeze(width, channels(width / 4))])

    def forward(self, x: Tensor) -> Tensor:
        return self.conc_se_layers[0](x)  # type: ignore[no-any-return]


class _Squeeze(nn.Module):
    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, squeezed)
        self.fc2 = nn.Linear(squeezed, width)

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean(dim=(2, 3))))))
        return x * scale[:, :, None, None]


def _convolution(
    before: int, after: int, kernel: int, stride: int, activation: nn.Module | None, groups: int = 1
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(before, after, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(after, eps=0.001, momentum=0.01),
    ]
    return nn.Sequential(*layers, *([activation] if activation is not None else []))
