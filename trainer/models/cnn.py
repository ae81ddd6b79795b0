"""The convolutional baseline: a small MobileNetV3 over windows, as detectors on the edge have it today."""

from torch import Tensor, nn

from trainer.models.mobilenet import MobileNet

FRAMES = 192
"""Window in frames, 1.92 s: what the running score of a streaming student looks back."""
WIDTH = 0.4
"""As EfficientAT's smallest: about a million parameters."""


class WindowCnn(nn.Module):
    """Log-mel (batch, 192, mels) to logits (batch, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.frames = FRAMES
        self.network = MobileNet(WIDTH, classes)

    def forward(self, log_mel: Tensor) -> Tensor:
        return self.network(log_mel[:, None].transpose(2, 3))  # type: ignore[no-any-return]
