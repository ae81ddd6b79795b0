"""A teacher that hears the very scenes that the student hears: consistent teaching (Beyer et al., arXiv 2106.05237).

Stored probabilities are of clean recordings; in a scene they are louder or fainter, faster, in rooms, over each other.
An EfficientAT network is small enough to be asked anew about every scene: one pass over its picture, and its classifier
over each stretch of about a second of what it saw.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.frontend import mel_filters
from trainer.models.streaming_vit import STEP
from trainer.run.precision import autocast
from trainer.teachers.assignment import LEAST, Assigned, says
from trainer.teachers.efficientat import RATE, EfficientAt, Mel32k, picture

STRIDE = 32
"""Frames (10 ms) from column to column of what the network sees at last."""
STEP_SAMPLES = STEP * RATE // 200
"""Samples of a step at half the teacher's rate."""
COLUMNS = 4
"""Columns that its classifier judges together: 1.28 s. Of 0.32 to 1.92 s this tells best when a sound is there."""


class LiveTeacher(nn.Module):
    """Targets of scenes, by time step, from an EfficientAT state dict; it hears on whatever device it is moved to."""

    _rows: Tensor

    def __init__(self, file: Path, labels: Sequence[str] | None, sample_rate: int) -> None:
        """Of all labels of the teacher where none are given. Raises WrongUse for a rate that is not half of the
        teacher's, or AsitEdgeError for another kind of file."""
        super().__init__()
        if sample_rate * 2 != RATE:
            raise WrongUse(f"--live hears 16 kHz, not {sample_rate} Hz")
        if not file.is_file():
            raise WrongUse(f"{file}: no such teacher")
        teacher = EfficientAt(file)
        self._model = teacher.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._features = HalfRateMel()
        self.labels = teacher.labels if labels is None else list(labels)
        if missing := [name for name in self.labels if name not in teacher.labels]:
            raise AsitEdgeError(f"{file}: does not know {missing[0]!r}")
        rows = torch.tensor([teacher.labels.index(name) for name in self.labels])
        self.register_buffer("_rows", rows, persistent=False)
        self.requires_grad_(False)

    def train(self, _mode: bool = True) -> "LiveTeacher":
        return super().train(False)

    @torch.no_grad()
    def forward(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, samples) at 16 kHz to probabilities (B, steps, labels), steps of 160 ms.

        A step's value is the mean of the stretches that cover it.
        """
        steps = waveforms.shape[1] // STEP_SAMPLES
        log_mel = self._features(waveforms).contiguous(memory_format=torch.channels_last)
        with autocast(waveforms.device):
            seen = self._model.features(log_mel)
        columns = seen.float().mean(dim=2)[:, :, : steps * STEP // STRIDE]
        width = min(COLUMNS, columns.shape[2])
        stretches = nnf.avg_pool1d(columns, width, 1)
        hidden = stretches.transpose(1, 2)
        for layer in list(self._model.classifier)[2:]:
            hidden = layer(hidden)
        windows = hidden[..., self._rows].sigmoid().transpose(1, 2)
        around = (width - 1, width - 1)
        covered = nnf.avg_pool1d(nnf.pad(torch.ones_like(windows[:1, :1]), around), width, 1)
        by_column = (nnf.avg_pool1d(nnf.pad(windows, around), width, 1) / covered).transpose(1, 2)
        return by_column.repeat_interleave(STRIDE // STEP, dim=1)[:, :steps]


class LiveTeachers(nn.Module):
    """Several of them as one: of each label the geometric mean of those that have a say in it.

    Of the geometric mean, one that is sure that a sound is not there outvotes one that half believes in it.
    """

    shares: Tensor

    def __init__(self, files: Sequence[Path], labels: Sequence[str], sample_rate: int, assigned: Assigned) -> None:
        """Raises as `LiveTeacher` does, and where `assigned` names a teacher that is none of them."""
        super().__init__()
        self.teachers = nn.ModuleList(LiveTeacher(file, labels, sample_rate) for file in files)
        shares = says([file.name for file in files], [list(labels)] * len(files), labels, assigned)
        self.register_buffer("shares", torch.from_numpy(shares), persistent=False)

    @torch.no_grad()
    def forward(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, samples) at 16 kHz to probabilities (B, steps, labels)."""
        said = [teacher(waveforms) for teacher in self.teachers]
        if len(said) == 1:
            return said[0]  # type: ignore[no-any-return]
        weights = self.shares / self.shares.sum(dim=0)
        logs = sum(weight * one.clamp_min(LEAST).log() for weight, one in zip(weights, said, strict=True))
        together = torch.as_tensor(logs).exp()
        return torch.where(together <= 1.01 * LEAST, 0.0, together)


class HalfRateMel(nn.Module):
    """What `Mel32k` gives for waveforms (batch, samples) that are at 16 kHz, without making 32 kHz of them first.

    The same bins from half the samples; pre-emphasis becomes its frequency response. Above 8 kHz there is nothing.
    """

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        spec = Mel32k().spec
        self._fft, self._hop, self._length = spec.fft // 2, spec.hop // 2, spec.window // 2
        bins = self._fft // 2 + 1
        angles = 2 * torch.pi * torch.arange(bins) / spec.fft
        emphasis = 1 + 0.97**2 - 2 * 0.97 * torch.cos(angles)
        # Twice the samples are twice the amplitude.
        filters = 4 * emphasis[:, None] * torch.from_numpy(mel_filters(spec))[:bins]
        self.register_buffer("window", torch.hann_window(self._length, periodic=False), persistent=False)
        self.register_buffer("filters", filters.float(), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        spectrum = torch.stft(
            waveforms, self._fft, self._hop, self._length, self.window, center=True, return_complex=True
        )
        return picture(spectrum, self.filters)
