"""torchaudio's Kaldi filter bank, the reference for the front end."""

import numpy as np
import torch

from asit_edge.model.frontend import FrontEnd
from trainer.data.torch_audio import fbank


def kaldi_log_mel(samples: np.ndarray, spec: FrontEnd) -> np.ndarray:
    """Samples (n,) to normalised log-mel (frames, mels) as AST and ASiT compute it."""
    log_mel = fbank(
        torch.from_numpy(samples)[None],
        htk_compat=True,
        sample_frequency=spec.sample_rate,
        use_energy=False,
        window_type="hanning",
        num_mel_bins=spec.mels,
        dither=0.0,
        frame_shift=1000 * spec.hop / spec.sample_rate,
    )
    return ((log_mel - spec.mean) / (2 * spec.std)).numpy()
