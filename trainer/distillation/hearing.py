"""What a student and its teachers hear of scenes, made in batches on the device on which they learn."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from trainer.data.augment import equalise, spec_augment
from trainer.data.features import BatchedLogMel
from trainer.distillation.batches import Scenes
from trainer.run.ranks.sharing import Share
from trainer.students.config import DistillConfig
from trainer.teachers.live import LiveTeachers


class Batch(NamedTuple):
    """Log-mel (B, frames, mels), masked; targets of time steps (B, S, K) and of what was `lately` heard at each one;
    the log-mel before masks, empty where nobody asks for it."""

    log_mel: Tensor
    targets: Tensor
    lately: Tensor
    unmasked: Tensor


class Hearing(nn.Module):
    """Scenes to batches: live teachers hear them, then a random frequency response and masks make them harder."""

    def __init__(self, config: DistillConfig, labels: Sequence[str]) -> None:
        """Raises WrongUse or AsitEdgeError where a live teacher is none."""
        super().__init__()
        self._config = config
        self.features = BatchedLogMel(config.spec)
        files = [Path(file) for file in config.live]
        self.live = LiveTeachers(files, labels, config.spec.sample_rate, config.assigned) if files else None

    @torch.no_grad()
    def forward(self, scenes: Scenes, generator: torch.Generator, share: Share) -> Batch:
        """Of a share of a batch; `generator` draws for the whole batch."""
        config, spec = self._config, self._config.spec
        device = self.features.filters.device
        waveforms, targets = (part.to(device, non_blocking=True) for part in scenes[:2])
        if self.live is not None:
            targets = torch.maximum(targets, self.live(waveforms))
        heard = nnf.pad(waveforms, (0, spec.window - spec.hop))  # the last frame looks a little past the scene
        response = config.equaliser_db * np.log(10) / 10 / (2 * spec.std)
        log_mel = equalise(self.features(heard), response, spec.silence, generator, share)
        return Batch(
            spec_augment(log_mel, config.time_mask, config.frequency_mask, generator, share),
            heard_lately(targets, config.held),
            heard_lately(targets, config.lately),
            log_mel if config.features else log_mel[:, :0],
        )


def heard_lately(targets: Tensor, steps: int) -> Tensor:
    """The highest target (B, time steps, labels) of each step and the `steps` - 1 before it; 0 or more."""
    return nnf.max_pool1d(nnf.pad(targets.transpose(1, 2), (steps - 1, 0)), steps, 1).transpose(1, 2)
