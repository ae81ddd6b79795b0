"""EfficientAT's MobileNets (arXiv 2211.04772) as teachers: published state dicts and the front end that they expect."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from asit_edge.errors import AsitEdgeError
from asit_edge.model.frontend import FrontEnd, mel_filters
from trainer.data.audioset import audioset_ids
from trainer.models.mobilenet import MobileNet, channels
from trainer.run.checkpoint import read_file

RATE = 32_000
WINDOW_SECONDS = 2.0
HOP_SECONDS = 0.5


class Mel32k(nn.Module):
    """Waveforms (batch, samples) at 32 kHz to (batch, 1, 128, frames): 25 ms windows, 10 ms hop, 0 to 15 kHz."""

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        spec = FrontEnd(sample_rate=RATE, window=800, hop=320, fft=1024, low_hz=0.0, high_hz=15_000.0)
        self.spec = spec
        self.register_buffer("window", torch.hann_window(spec.window, periodic=False), persistent=False)
        self.register_buffer("filters", torch.from_numpy(mel_filters(spec)), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        emphasised = waveforms[:, 1:] - 0.97 * waveforms[:, :-1]
        spec = self.spec
        spectrum = torch.stft(
            emphasised, spec.fft, spec.hop, spec.window, self.window, center=True, return_complex=True
        )
        return picture(spectrum, self.filters)


def picture(spectrum: Tensor, filters: Tensor) -> Tensor:
    """What the networks see: complex spectra (batch, bins, frames) to log-mel (batch, 1, mels, frames)."""
    power = spectrum.real.square() + spectrum.imag.square()
    mel = (power.transpose(1, 2) @ filters).transpose(1, 2)
    return ((mel + 1e-5).log()[:, None] + 4.5) / 5


class EfficientAt:
    """A teacher: waveforms at 32 kHz to probabilities of AudioSet's 527 classes."""

    rate = RATE
    window = round(WINDOW_SECONDS * RATE)
    hop = round(HOP_SECONDS * RATE)

    def __init__(self, file: Path) -> None:
        """`file` is a state dict (mn04, mn10, ... of any width). Raises AsitEdgeError if it is something else."""
        weights = read_file(file)
        self.labels = list(audioset_ids())
        try:
            classes, hidden = weights["classifier.5.weight"].shape
            width = next(width / 10 for width in range(1, 41) if channels(1280 * width / 10) == hidden)
            self.model = MobileNet(width, classes).eval()
            self.model.load_state_dict(weights)
        except (KeyError, AttributeError, StopIteration, RuntimeError, ValueError):
            raise AsitEdgeError(f"{file}: not a state dict of an EfficientAT MobileNet (mn04, mn10, ...)") from None
        if classes != len(self.labels):
            raise AsitEdgeError(f"{file}: has {classes} classes, AudioSet has {len(self.labels)}")
        self.features = Mel32k()

    @torch.inference_mode()
    def score(self, waveforms: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(windows, samples) to (windows, 527)."""
        scores: npt.NDArray[np.float32] = self.model(self.features(torch.from_numpy(waveforms))).sigmoid().numpy()
        return scores
