"""The lab's batched front end computes what the device's does."""

import numpy as np
import torch

from asit_edge.model.frontend import FrontEnd, log_mel
from tests.model.kaldi_reference import kaldi_log_mel
from trainer.data.features import BatchedLogMel

SPEC = FrontEnd()


def test_batch_equals_the_device_one_by_one() -> None:
    rng = np.random.default_rng(0)
    waveforms = (rng.standard_normal((3, 20_000)) * [[0.001], [0.1], [0.9]]).astype(np.float32)
    batch = BatchedLogMel(SPEC)(torch.from_numpy(waveforms)).numpy()
    expected = np.stack([log_mel(SPEC, waveform) for waveform in waveforms])
    assert batch.shape == expected.shape == (3, SPEC.frames_in(20_000), 128)
    assert np.abs(batch - expected).max() < 5e-4


def test_batch_equals_torchaudio() -> None:
    waveform = (0.1 * np.random.default_rng(1).standard_normal(32_000)).astype(np.float32)
    batch = BatchedLogMel(SPEC)(torch.from_numpy(waveform)[None])[0].numpy()
    assert np.abs(batch - kaldi_log_mel(waveform, SPEC)).max() < 5e-3
