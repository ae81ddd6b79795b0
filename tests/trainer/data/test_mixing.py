"""What mixing is made of: levels, noise, rooms, cutting, placing and looping."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.mixing import active, coloured_noise, convolve, faded, fitted, in_room, looped, placed, rms

RATE = 16_000


def tone(frequency: float, seconds: float, silence: float = 0.0) -> np.ndarray:
    samples = 0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)
    quiet = np.zeros(round(silence * RATE))
    return np.concatenate((quiet, samples, quiet)).astype(np.float32)


def noise(seconds: float, seed: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32)


def test_what_is_audible_of_a_clip() -> None:
    assert active(tone(440, 1.0, silence=0.5), RATE) == (RATE // 2, 3 * RATE // 2)
    assert active(np.zeros(RATE, np.float32), RATE) == (0, 0)
    assert active(np.zeros(0, np.float32), RATE) == (0, 0)


def test_a_room_makes_a_sound_longer_and_not_louder() -> None:
    response = np.zeros(RATE, np.float32)
    response[400:] = np.exp(-np.arange(RATE - 400) / 3000) * noise(1)[: RATE - 400] * 0.1
    response[400] = 1.0
    dry = tone(700, 0.5)
    wet = in_room(dry, response)
    assert rms(wet[: len(dry)]) == pytest.approx(rms(dry), rel=0.01)
    assert active(wet, RATE)[0] == 0
    assert active(wet, RATE)[1] > len(dry) + 1000


def test_a_short_background_is_repeated_without_a_hole() -> None:
    rng = np.random.default_rng(0)
    repeated = looped(noise(1.3), 5 * RATE, rng, RATE)
    assert len(repeated) == 5 * RATE
    blocks = repeated[: 5 * RATE // 800 * 800].reshape(-1, 800)
    assert np.sqrt((blocks**2).mean(axis=1)).min() > 0.7


@pytest.mark.parametrize(("exponent", "slope"), [(0.0, 0.0), (1.0, -10.0), (2.0, -20.0)])
def test_noise_has_its_colour(exponent: float, slope: float) -> None:
    """Decibels per decade between 100 Hz and 4 kHz."""
    noise = coloured_noise(160_000, exponent, np.random.default_rng(0))
    assert np.sqrt((noise**2).mean()) == pytest.approx(1, abs=1e-3)
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequency = np.fft.rfftfreq(160_000, 1 / 16_000)
    low = power[(frequency > 80) & (frequency < 125)].mean()
    high = power[(frequency > 3_200) & (frequency < 5_000)].mean()
    assert 10 * np.log10(high / low) / np.log10(4_000 / 100) == pytest.approx(slope, abs=1.5)


@given(st.integers(1, 3000), st.integers(1, 400), st.integers(0, 9))
def test_a_room_is_a_convolution_with_all_its_echoes(length: int, echoes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples, response = (rng.standard_normal(size).astype(np.float32) for size in (length, echoes))
    expected = np.convolve(samples.astype(np.float64), response.astype(np.float64))
    error = np.abs(convolve(samples, response) - expected).max()
    assert error < 1e-6 * np.linalg.norm(samples) * np.linalg.norm(response) + 1e-9


@given(st.integers(0, 30), st.integers(1, 20), st.integers(-40, 40))
def test_a_placed_sound_lies_at_its_start_and_is_cut_at_the_ends(size: int, length: int, start: int) -> None:
    samples = np.arange(1, size + 1, dtype=np.float32)
    expected = [samples[place - start] if 0 <= place - start < size else 0 for place in range(length)]
    assert placed(samples, length, start).tolist() == expected


def test_what_is_fitted_has_its_length_and_lies_in_the_middle_without_a_generator() -> None:
    assert fitted(np.arange(5, dtype=np.float32), 3).tolist() == [1, 2, 3]
    assert fitted(np.ones(2, np.float32), 5).tolist() == [0, 1, 1, 0, 0]


def test_a_cut_end_fades_to_nothing() -> None:
    cut = faded(np.ones(2 * RATE, np.float32), RATE, RATE)
    assert (len(cut), cut[0], cut[-1], cut[RATE - 801]) == (RATE, 1, 0, 1)
    assert len(faded(cut, 2 * RATE, RATE)) == RATE
