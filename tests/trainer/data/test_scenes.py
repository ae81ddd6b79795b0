"""Training scenes: sounds and their targets stay together, whatever is done to them."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.data.decode import FULL_SCALE, WaveformCache
from trainer.data.scenes import SceneConfig, SceneSampler, StoredTargets

RATE, STEP = 16_000, 2_560


@pytest.fixture(scope="module")
def sampler(tmp_path_factory: pytest.TempPathFactory) -> SceneSampler:
    """Two recordings: noise in the steps 2 and 3 of ten, and a long one with noise in every other step."""
    rng = np.random.default_rng(0)
    active = [np.isin(np.arange(10), (2, 3)), np.arange(60) % 2 == 0]
    pcm = [
        (np.repeat(steps, STEP) * rng.normal(0, 0.1, len(steps) * STEP) * FULL_SCALE).astype(np.int16)
        for steps in active
    ]
    file = tmp_path_factory.mktemp("scenes") / "samples.s16"
    np.concatenate(pcm).tofile(file)
    starts = np.array([0, 10, 70])
    targets = np.zeros((70, 2), np.float32)
    targets[:10, 0], targets[10:, 1] = active[0], active[1]
    config = SceneConfig(steps=20, noise=0.5)
    return SceneSampler(
        WaveformCache(file, starts * STEP),
        [0, 1],
        np.array([0.5, 0.5]),
        StoredTargets(targets, starts),
        RATE,
        STEP,
        config,
    )


@settings(max_examples=40)
@given(seed=st.integers(0, 2**31))
def test_what_is_said_to_sound_does_and_nothing_else(sampler: SceneSampler, seed: int) -> None:
    waveform, targets = sampler.scene(np.random.default_rng(seed))
    assert waveform.shape == (20 * STEP,)
    assert targets.shape == (20, 2)
    assert np.abs(waveform).max() <= 1
    level = np.sqrt((waveform.reshape(20, -1) ** 2).mean(axis=1))
    heard = targets.max(axis=1) > 0.5
    assert level[heard].min(initial=1) > 1e-3
    # Steps near a sounding one may carry a part of it: sounds begin anywhere in a step.
    if heard.any():
        near = np.convolve(heard, np.ones(5), "same") > 0
        noise = 1.2 * 10 ** (sampler.config.noise_db[1] / 20)
        assert level[~near].max(initial=0) < max(0.5 * level[heard].max(), noise)


def test_a_seed_repeats_a_scene(sampler: SceneSampler) -> None:
    one, other = (sampler.scene(np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])
    assert not np.array_equal(one[0], sampler.scene(np.random.default_rng(4))[0])


def test_both_recordings_are_drawn(sampler: SceneSampler) -> None:
    total = np.sum([sampler.scene(np.random.default_rng(seed))[1].sum(axis=0) for seed in range(40)], axis=0)
    assert (total > 5).all()


def test_waveforms_survive_a_journey_to_another_process(tmp_path: Path) -> None:
    np.arange(10, dtype=np.int16).tofile(tmp_path / "x.s16")
    waveforms = WaveformCache(tmp_path / "x.s16", np.array([0, 4, 10]))
    assert waveforms[1].tolist() == [4, 5, 6, 7, 8, 9]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        assert other.submit(itemgetter(0), waveforms).result().tolist() == [0, 1, 2, 3]


def test_faster_and_slower_sounds_change_pitch_and_nothing_folds_back(tmp_path: Path) -> None:
    """Two tones, 1 and 7.5 kHz: the lower one tells the speed, the upper one leaves the band when played faster."""
    time = np.arange(60 * STEP) / RATE
    tones = 0.2 * (np.sin(2 * np.pi * 1000 * time) + np.sin(2 * np.pi * 7500 * time))
    (tmp_path / "tones.s16").write_bytes((tones * FULL_SCALE).astype(np.int16).tobytes())
    starts = np.array([0, 60])
    config = SceneConfig(steps=20, noise=0.0, room=0.0, most=1, speed=0.4)
    waveforms = WaveformCache(tmp_path / "tones.s16", starts * STEP)
    sampler = SceneSampler(
        waveforms, [0], np.ones(1), StoredTargets(np.ones((60, 1), np.float32), starts), RATE, STEP, config
    )
    speeds = []
    for seed in range(40):
        waveform, _ = sampler.scene(np.random.default_rng(seed))
        spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
        hertz = np.fft.rfftfreq(len(waveform), 1 / RATE)
        speed = hertz[spectrum[hertz < 2000].argmax()] / 1000
        speeds.append(speed)
        if speed > 1.1:
            folded = np.abs(hertz - (RATE - 7500 * speed)) < 100
            assert spectrum[folded].max() < 0.01 * spectrum.max()
    assert 0.6 <= min(speeds) < 0.75
    assert 1.25 < max(speeds) <= 1.4
    assert 10 <= sum(abs(speed - 1) < 1e-3 for speed in speeds) <= 30
