"""What EfficientAT's networks see, from our own front end."""

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from asit_edge.model.frontend import FrontEnd, mel_filters

TEACHER_FLOOR = 1e-5
"""What EfficientAT adds to a mel energy before the logarithm."""


def warm_front_end() -> FrontEnd:
    """The lower 103 of EfficientAT's 128 mel bins (to 15 kHz): all that audio at 16 kHz fills."""
    top = np.log1p(15_000 / 700) * 104 / 129
    return FrontEnd(mels=103, low_hz=0.0, high_hz=float(700 * np.expm1(top)))


class TeacherPicture(nn.Module):
    """Our normalised log-mel (B, frames, mels) to what EfficientAT's networks see: their pre-emphasis and floor.

    Both differ bin by bin only: an offset, which is learned from there on, and a soft floor.
    """

    def __init__(self, spec: FrontEnd) -> None:
        super().__init__()
        self.scale, self.mean = 2 * spec.std, spec.mean
        filters = mel_filters(spec).astype(np.float64)
        angle = 2 * np.pi * np.arange(len(filters)) / spec.fft

        def emphasis(turn: np.ndarray) -> np.ndarray:
            return 1 + spec.preemphasis**2 - 2 * spec.preemphasis * np.cos(turn)

        # At twice the rate: half the angle, and twice as many samples of the same amplitude.
        theirs, ours = 4 * emphasis(angle / 2) @ filters, emphasis(angle) @ filters
        offset = np.log(np.maximum(theirs, 1e-12) / np.maximum(ours, 1e-12))
        self.offset = nn.Parameter(torch.from_numpy(offset.astype(np.float32)))

    def forward(self, log_mel: Tensor) -> Tensor:
        floor = float(np.log(TEACHER_FLOOR))
        above = log_mel * self.scale + (self.offset + (self.mean - floor))
        return (nnf.softplus(above) + (floor + 4.5)) / 5
