"""The front end of `asit_edge.model.frontend`, batched in torch, on any device. No second definition lives here."""

import torch
from torch import Tensor, nn

from asit_edge.model.frontend import LOG_FLOOR, FrontEnd, hann, mel_filters


class BatchedLogMel(nn.Module):
    """Waveforms (batch, samples) to normalised log-mel (batch, frames, mels)."""

    hann: Tensor
    filters: Tensor

    def __init__(self, spec: FrontEnd) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("hann", torch.from_numpy(hann(spec.window)), persistent=False)
        self.register_buffer("filters", torch.from_numpy(mel_filters(spec)), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        frames = waveforms.unfold(-1, self.spec.window, self.spec.hop)
        if frames.numel() == 0:  # no views of a kind; some FFT libraries refuse an empty batch
            return frames.new_zeros(*frames.shape[:-1], self.spec.mels)
        frames = frames - frames.mean(dim=-1, keepdim=True)
        previous = torch.cat((frames[..., :1], frames[..., :-1]), dim=-1)
        windowed = (frames - self.spec.preemphasis * previous) * self.hann
        spectrum = torch.fft.rfft(windowed, self.spec.fft)
        energies = (spectrum.real.square() + spectrum.imag.square()) @ self.filters
        return (energies.clamp_min(LOG_FLOOR).log() - self.spec.mean) / (2 * self.spec.std)
