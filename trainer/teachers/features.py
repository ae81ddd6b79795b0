"""Feature distillation: a pre-trained ASiT sees the very scene that the student hears, and the student's time steps
learn to point where the teacher's patches point. Only the projection between their widths is new.
"""

from pathlib import Path

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from trainer.models.pretrained import load_backbone
from trainer.models.streaming_vit import STEP
from trainer.models.vit import ViT, vit_config


class FeatureTeacher(nn.Module):
    """A frozen backbone, and the learned projection of the student's embedding to its width."""

    def __init__(self, weights: Path, size: str, steps: int, mels: int, embedding: int) -> None:
        """`size` names the teacher's ViT, `steps` are the scene's, `embedding` is the student's width."""
        super().__init__()
        config = vit_config(size, steps * STEP, mels, drop_path=0.0)
        self.teacher = ViT(config).eval().requires_grad_(False)
        load_backbone(self.teacher, weights)
        self.projection = nn.Linear(embedding, config.width)

    def train(self, mode: bool = True) -> "FeatureTeacher":
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, embedded_BSD: Tensor, log_mel: Tensor) -> Tensor:
        """Mean over time steps of 1 - cosine between projection and teacher; `log_mel` (B, frames, mels) unmasked."""
        with torch.no_grad():
            tokens = self.teacher(log_mel)[:, 1:]
            target = tokens.unflatten(1, (embedded_BSD.shape[1], -1)).mean(dim=2)
        return 1 - nnf.cosine_similarity(self.projection(embedded_BSD).float(), target.float(), dim=2).mean()
