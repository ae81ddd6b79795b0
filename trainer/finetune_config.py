"""Everything that a fine-tuning run depends on, apart from the data; its checkpoint carries it."""

from dataclasses import dataclass, field
from typing import Any

from asit_edge.frontend import FrontEnd
from trainer.crops import CropConfig
from trainer.schedules import cosine
from trainer.vit import ViTConfig, vit_config


@dataclass(frozen=True)
class FinetuneConfig:
    """One run. The front end is kept as plain values, so that a checkpoint holds nothing else."""

    size: str = "nano"
    initial: str | None = None
    """Weights to begin with, of trainer.pretrain or any file that `trainer.weights` reads; None is random."""
    frames: int = 192
    """Length of a window in frames (10 ms each), a multiple of 16."""
    steps: int = 1500
    batch: int = 32
    learning_rate: float = 1e-3
    warmup: float = 0.05
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    drop_path: float = 0.1
    time_mask: int = 40
    frequency_mask: int = 24
    averaging: float = 0.998
    """Decay of the running average of the weights, which is what is saved."""
    seed: int = 0
    crops: CropConfig = field(default_factory=CropConfig)
    front_end: dict[str, Any] = field(default_factory=lambda: FrontEnd().model_dump())

    @property
    def spec(self) -> FrontEnd:
        return FrontEnd(**self.front_end)

    @property
    def backbone(self) -> ViTConfig:
        return vit_config(self.size, self.frames, self.spec.mels, self.drop_path)


def learning_rate(step: int, config: FinetuneConfig) -> float:
    """Linear warm-up, then a cosine to zero; `step` from 0 to `config.steps` - 1."""
    warm = max(round(config.steps * config.warmup), 1)
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    return cosine(step - warm, config.steps - warm, config.learning_rate, 0.0)
