"""What a student hears: the same whether one process has a batch or several share it."""

import numpy as np
import torch

from trainer.data.clips import targets as numbers
from trainer.data.scenes import SceneConfig
from trainer.distillation.batches import Scenes
from trainer.distillation.hearing import Hearing, heard_lately
from trainer.run.ranks.sharing import Share, whole
from trainer.students.config import DistillConfig

STEPS = 8


def scenes(count: int) -> Scenes:
    rng = np.random.default_rng(0)
    waveforms = rng.normal(0, 0.1, (count, STEPS * 2560)).astype(np.float32)
    return Scenes(torch.from_numpy(waveforms), torch.from_numpy(rng.random((count, STEPS, 2), np.float32)), {})


def test_a_share_hears_its_rows_of_the_batch() -> None:
    config = DistillConfig(size="nano", batch=4, features="asit.pt", scenes=SceneConfig(steps=STEPS))
    hearing, everything = Hearing(config, ["Dog", "Rain"]), scenes(4)
    batch = hearing(everything, torch.Generator().manual_seed(3), whole(4))
    assert batch.log_mel.shape == batch.unmasked.shape == (4, STEPS * 16, 128)
    assert (batch.log_mel != batch.unmasked).any(dim=(1, 2)).all(), "masked"
    for first in (0, 2):
        share = Share(first, 2, 4)
        part = Scenes(everything.waveforms[share.rows], everything.targets[share.rows], {})
        own = hearing(part, torch.Generator().manual_seed(3), share)
        for ours, theirs in zip(own, batch, strict=True):
            assert torch.allclose(ours, theirs[share.rows], atol=1e-6)


def test_heard_lately_is_what_validation_takes_for_it() -> None:
    targets = scenes(3).targets
    for steps in (1, 4, 12):
        expected = np.stack([numbers.heard_lately(one.numpy(), steps) for one in targets])
        assert np.array_equal(heard_lately(targets, steps).numpy(), expected)
