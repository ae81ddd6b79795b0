"""Training windows: labels follow what is audible, levels what was asked for, and a seed repeats everything."""

import numpy as np
import pytest
import torch

from trainer.data.augment import mask_axis, spec_augment
from trainer.data.clips.windows import CropConfig, WindowSampler
from trainer.data.mixing import loudest

PLAIN = CropConfig(speed=0.0, gain_db=(0.0, 0.0), mix_probability=0.0, noise_probability=0.0)


def batch(clip: np.ndarray, config: CropConfig, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    sampler = WindowSampler([clip.astype(np.float32)], np.ones((1, 1), np.float32), 8_000, 16_000, config)
    return sampler.batch(size, np.random.default_rng(seed))


def test_a_window_carries_the_label_if_and_only_if_the_sound_is_in_it() -> None:
    clip = np.zeros(48_000)
    clip[20_000:21_600] = 0.5
    windows, labels = batch(clip, PLAIN, 200)
    audible = np.array([loudest(window, 800) >= 0.05 for window in windows])
    assert np.array_equal(labels[:, 0] == 1, audible)
    assert 20 < audible.sum() < 120


def test_silence_never_carries_a_label() -> None:
    _, labels = batch(np.zeros(48_000), PLAIN, 20)
    assert not labels.any()


def test_two_sounds_together_keep_both_labels() -> None:
    clips = [np.full(48_000, 0.1, np.float32), np.full(48_000, 0.2, np.float32)]
    config = CropConfig(speed=0.0, gain_db=(0.0, 0.0), mix_probability=1.0, noise_probability=0.0)
    made = WindowSampler(clips, np.eye(2, dtype=np.float32), 8_000, 16_000, config)
    _, labels = made.batch(100, np.random.default_rng(0))
    assert {1.0, 2.0} == set(labels.sum(axis=1))


def test_a_seed_repeats_the_windows() -> None:
    clip = np.random.default_rng(0).standard_normal(48_000)
    first, second, other = (batch(clip, CropConfig(), 8, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_gain_is_in_decibels() -> None:
    clip = np.full(80_000, 0.1)
    windows, _ = batch(clip, CropConfig(0.0, (-20.0, -20.0), 0.0, noise_probability=0.0), 50)
    assert np.abs(windows).max() == pytest.approx(0.01, rel=1e-4)


def test_masks_are_single_runs_within_their_bound() -> None:
    generator = torch.Generator().manual_seed(0)
    masked = mask_axis(torch.ones(64, 100, 20), 1, 30, generator)
    columns = masked[:, :, 0]
    assert torch.equal(masked, columns[..., None].expand_as(masked))
    for row in columns:
        run = (row == 0).nonzero().flatten()
        assert len(run) <= 30
        assert len(run) == 0 or int(run[-1] - run[0]) + 1 == len(run)
    assert 10 < (columns == 0).sum(dim=1).float().mean() < 20


def test_masking_repeats_with_its_generator() -> None:
    x = torch.ones(4, 96, 128)
    first, second = (spec_augment(x, 40, 24, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
