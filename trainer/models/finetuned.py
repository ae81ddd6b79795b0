"""What is fine-tuned: log-mel windows in, one logit a class out, for the clip or for every time patch.

A backbone with a head on top, which scores windows, or a streaming student, which on a device hears every moment once.
"""

from typing import Literal

from torch import Tensor, nn

from asit_edge.model.frontend import FrontEnd
from trainer.models.streaming import StreamingModel
from trainer.models.streaming_mobilenet import StreamMobile, WarmConfig
from trainer.models.streaming_vit import StreamConfig, StreamViT
from trainer.models.vit import ViT, ViTConfig

Head = Literal["clip", "frame"]

LABEL_LAYERS = ("frame_head.", "correction.")
"""Of a streaming student, the layers that make logits of time steps from its embedding."""


class WindowNetwork(nn.Module):
    """Log-mel (batch, frames, mels) to logits: (batch, classes), with a frame head (batch, time patches, classes).

    The clip head sees the mean of the patch tokens beside the class token, as AST and ASiT fine-tune. The frame head
    sees each time patch's mean over frequency: the same backbone as a detector, a score every 160 ms.
    """

    def __init__(self, backbone: ViTConfig, classes: int, head: Head = "clip", exclusive: bool = False) -> None:
        """`exclusive`: exactly one class is true (trained with cross entropy), so scores sum to one."""
        super().__init__()
        self.backbone = ViT(backbone)
        self.head = nn.Linear(backbone.width, classes)
        self.kind = head
        self.exclusive = exclusive
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, log_mel: Tensor) -> Tensor:
        tokens = self.backbone(log_mel)
        if self.kind == "frame":
            batch, _, width = tokens.shape
            times = tokens[:, 1:].reshape(batch, -1, self.backbone.config.grid[1], width).mean(dim=2)
            return self.head(times)  # type: ignore[no-any-return]
        pooled = (tokens[:, 0] + tokens[:, 1:].mean(dim=1)) / 2
        return self.head(pooled)  # type: ignore[no-any-return]


class StreamNetwork(nn.Module):
    """A streaming student with the labels of a task: log-mel (batch, frames, mels) to logits (batch, steps, classes).

    Each class is for itself, and every time step of 160 ms has its scores.
    """

    kind: Head = "frame"
    exclusive = False

    def __init__(self, config: StreamConfig | WarmConfig, classes: int, spec: FrontEnd) -> None:
        super().__init__()
        self.student: StreamingModel = (
            StreamMobile(config, classes, spec)
            if isinstance(config, WarmConfig)
            else StreamViT(config, classes, spec.silence)
        )
        # Most sounds are not there most of the time.
        nn.init.constant_(self.student.frame_head.bias, -4.0)

    def forward(self, log_mel: Tensor) -> Tensor:
        return self.student(log_mel)[0].frames  # type: ignore[no-any-return]

    def freeze_body(self) -> None:
        """From now on only the layers learn that have a row a label, and the rest computes as on a device."""
        self.eval()
        for name, parameter in self.student.named_parameters():
            parameter.requires_grad_(name.startswith(LABEL_LAYERS))


FinetunedNetwork = WindowNetwork | StreamNetwork
