"""The front end: equal to torchaudio's Kaldi features, and the same streamed as offline, bit for bit."""

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from asit_edge.cli.demo import recording
from asit_edge.model.frontend import FrontEnd, LogMel, log_mel
from tests.model.kaldi_reference import kaldi_log_mel

SPEC = FrontEnd()


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(16_000 * seconds))).astype(np.float32)


def test_equals_torchaudio_on_real_sounds() -> None:
    samples, rate = soundfile.read(recording(), dtype="float32")
    assert rate == SPEC.sample_rate
    difference = np.abs(log_mel(SPEC, samples) - kaldi_log_mel(samples, SPEC))
    assert difference.max() < 5e-3
    assert difference.mean() < 1e-4


@pytest.mark.parametrize("frequency", [50, 440, 7990])
def test_equals_torchaudio_on_tones(frequency: float) -> None:
    samples = (0.5 * np.sin(2 * np.pi * frequency * np.arange(32_000) / 16_000)).astype(np.float32)
    difference = np.abs(log_mel(SPEC, samples) - kaldi_log_mel(samples, SPEC))
    assert difference.max() < 5e-3
    assert difference.mean() < 1e-4


@given(st.lists(st.integers(1, 9_000), min_size=1, max_size=12), st.integers(0, 5))
def test_streaming_equals_offline_whatever_the_blocks(sizes: list[int], seed: int) -> None:
    samples = noise(sum(sizes) / 16_000 + 0.001, seed)
    stream = LogMel(SPEC)
    ends = np.cumsum(sizes)
    frames = np.concatenate([stream.push(block) for block in np.split(samples, ends)])
    assert np.array_equal(frames, log_mel(SPEC, samples))


def test_one_sample_at_a_time_equals_offline() -> None:
    samples = noise(0.1)
    stream = LogMel(SPEC)
    frames = np.concatenate([stream.push(samples[index : index + 1]) for index in range(len(samples))])
    assert np.array_equal(frames, log_mel(SPEC, samples))


@given(st.integers(0, 5_000))
def test_frame_count_is_kaldis(samples: int) -> None:
    frames = SPEC.frames_in(samples)
    assert len(log_mel(SPEC, np.zeros(samples, np.float32))) == frames
    assert SPEC.samples_for(frames) <= samples or frames == 0
    assert SPEC.samples_for(frames + 1) > samples


def test_silence_is_the_floor_everywhere() -> None:
    assert np.allclose(log_mel(SPEC, np.zeros(1_600, np.float32)), SPEC.silence)


def test_reset_forgets_an_incomplete_frame() -> None:
    stream = LogMel(SPEC)
    stream.push(noise(0.02))
    stream.reset()
    samples = noise(0.3, seed=1)
    assert np.array_equal(stream.push(samples), log_mel(SPEC, samples))


@pytest.mark.parametrize(
    ("field", "value"), [("fft", 256), ("high_hz", 9_000.0), ("low_hz", 8_000.0), ("hop", 0), ("fftt", 1)]
)
def test_impossible_specification_is_refused(field: str, value: float) -> None:
    with pytest.raises(ValidationError, match=field):
        FrontEnd.model_validate({field: value})
