"""A clip is recognised by its waveform: under another name, in another format, at another level; no other clip is."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import tones
from trainer.data.decode import decode
from trainer.data.recording import Recording
from trainer.evaluation.content import BITS, RATE, SAME, found_in, sketch, sketches


def noise(seed: int, seconds: float) -> np.ndarray:
    """Pink-like noise (samples,) float32 at RATE: most of its energy low, as that of sounds is."""
    white = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (0.02 * np.convolve(white, 0.9 ** np.arange(40), "same")).astype(np.float32)


def differing(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.unpackbits(sketch(one) ^ sketch(other)).sum())


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    seconds=st.floats(0.2, 4.0),
    gain=st.floats(0.01, 20.0),
    silence=st.floats(0.0, 2.0),
    offset=st.floats(-0.5, 0.5),
)
def test_level_offset_and_silence_at_the_end_change_nothing(
    seed: int, seconds: float, gain: float, silence: float, offset: float
) -> None:
    samples = noise(seed, seconds)
    padded = np.append(samples - samples.mean(), np.zeros(round(silence * RATE), np.float32))
    assert differing(samples, np.float32(gain) * padded + np.float32(offset)) <= 8


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), seconds=st.floats(0.2, 4.0), other=st.floats(0.2, 4.0))
def test_other_clips_are_others(seed: int, seconds: float, other: float) -> None:
    assert differing(noise(seed, seconds), noise(seed + 1, other)) > SAME


def test_two_takes_of_one_tone_are_two_clips() -> None:
    one, other = (soxr.resample(tones((0, 0.3), (frequency, 0.7)), 16_000, RATE) for frequency in (2500, 2505))
    assert differing(one, other) > SAME


@pytest.mark.parametrize(
    ("name", "rate", "arguments"),
    [
        ("a.flac", 8000, {}),
        ("a.wav", 11_025, {"subtype": "PCM_U8"}),
        ("a.ogg", 22_050, {"format": "OGG", "subtype": "VORBIS"}),
        ("a.mp3", 44_100, {}),
        ("a.opus", 48_000, {"format": "OGG", "subtype": "OPUS"}),
    ],
)
def test_a_copy_in_another_format_is_recognised(
    name: str, rate: int, arguments: dict[str, str], tmp_path: Path
) -> None:
    samples = noise(7, 3.0)
    soundfile.write(tmp_path / name, soxr.resample(samples, RATE, rate), rate, **arguments)
    assert differing(samples, decode(tmp_path / name, RATE)) <= SAME


def test_the_end_may_be_cut_off_and_what_is_not_recognised_is_as_documented() -> None:
    samples = noise(3, 3.0)
    assert differing(samples, samples[: 2 * RATE]) <= SAME
    for other in (samples[RATE // 2 :], soxr.resample(samples, RATE, 0.95 * RATE), samples + 3 * noise(4, 3.0)):
        assert differing(samples, other) > SAME


def test_what_is_found_among_many_is_what_is_near_to_one() -> None:
    rng = np.random.default_rng(0)
    known = rng.integers(0, 256, (100, BITS // 8), np.uint8)
    own = rng.integers(0, 256, (30, BITS // 8), np.uint8)
    own[:10] = known[40:50] ^ np.packbits(rng.random((10, BITS)) < 0.15, axis=1)
    distances = np.unpackbits(own[:, None] ^ known[None], axis=2).sum(axis=2)
    found = found_in(own, known, block=7)
    assert found.tolist() == (distances <= SAME).any(axis=1).tolist()
    assert found.sum() == 10
    assert not found_in(own, known[:0]).any()
    assert found_in(known[:0], known).shape == (0,)


def test_recordings_are_read_as_the_parts_of_files_that_they_are(tmp_path: Path) -> None:
    samples = noise(5, 2.0)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    parts = [Recording(tmp_path / "a.wav"), Recording(tmp_path / "a.wav", start=1.0, seconds=0.5)]
    made = sketches(parts, threads=2)
    assert np.array_equal(made[0], sketch(samples))
    assert np.array_equal(made[1], sketch(samples[RATE : RATE * 3 // 2]))
    assert sketches([]).shape == (0, BITS // 8)
    assert sketch(samples[:0]).shape == (BITS // 8,)
