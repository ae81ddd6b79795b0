"""A backbone with a head on top: log-mel windows in, one logit a class out."""

import torch
from torch import Tensor, nn

from trainer.vit import ViT, ViTConfig


class ClipClassifier(nn.Module):
    """Log-mel (batch, frames, mels) to logits (batch, classes).

    The head sees the mean of the patch tokens beside the class token, as AST and ASiT fine-tune.
    """

    def __init__(self, backbone: ViTConfig, classes: int) -> None:
        super().__init__()
        self.backbone = ViT(backbone)
        self.head = nn.Linear(backbone.width, classes)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, log_mel: Tensor) -> Tensor:
        tokens = self.backbone(log_mel)
        pooled = (tokens[:, 0] + tokens[:, 1:].mean(dim=1)) / 2
        return self.head(pooled)  # type: ignore[no-any-return]


class Scores(nn.Module):
    """What a device runs: the classifier with its logits turned into independent probabilities."""

    def __init__(self, classifier: ClipClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, log_mel: Tensor) -> Tensor:
        return torch.sigmoid(self.classifier(log_mel))
