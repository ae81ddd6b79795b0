"""torchaudio's Kaldi filter bank, the reference for the front end, where its native library does not load.

Only pure-torch parts are used. With a torch that the wheel's native library was not built for, the import fails;
a stand-in for torchaudio's extension loader then makes the pure parts importable.
"""

import sys
import types
from typing import Any

import numpy as np
import torch

from asit_edge.model.frontend import FrontEnd


def _kaldi() -> Any:
    try:
        import torchaudio.compliance.kaldi as kaldi
    except (ImportError, OSError, RuntimeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        extension = types.ModuleType("torchaudio._extension")
        extension._IS_TORCHAUDIO_EXT_AVAILABLE = extension._IS_ALIGN_AVAILABLE = False  # type: ignore[attr-defined]
        extension.fail_if_no_align = lambda function: function  # type: ignore[attr-defined]
        sys.modules["torchaudio._extension"] = extension
        import torchaudio.compliance.kaldi as kaldi
    return kaldi


def kaldi_log_mel(samples: np.ndarray, spec: FrontEnd) -> np.ndarray:
    """Samples (n,) to normalised log-mel (frames, mels) as AST and ASiT compute it."""
    log_mel = _kaldi().fbank(
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
