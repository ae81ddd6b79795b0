"""Where in a recording the sound is: found by itself, in noise, at any place, once for every recording."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.errors import AsitEdgeError
from asit_edge.teach.lessons.augment import loudest, variants
from asit_edge.teach.lessons.takes import LONGEST, find_sound, read_take, take_of
from tests.conftest import RATE
from tests.teach.conftest import write


@given(
    before=st.floats(0.0, 3.0), lasts=st.floats(0.05, 3.0), after=st.floats(0.0, 3.0), above=st.floats(12, 60),
    seed=st.integers(0, 100),
)  # fmt: skip
def test_a_sound_that_stands_out_is_found_whole_and_little_else(
    before: float, lasts: float, after: float, above: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    first, count, rest = (round(seconds * RATE) for seconds in (before, lasts, after))
    samples = 1e-3 * rng.standard_normal(first + count + rest)
    samples[first : first + count] += 1e-3 * 10 ** (above / 20) * rng.standard_normal(count)
    begin, end = find_sound(samples.astype(np.float32), RATE)
    assert begin <= first + 0.03 * RATE
    assert end >= first + count - 0.03 * RATE
    if before + after > 1.0:
        assert begin >= first - 0.05 * RATE
        assert end <= first + count + 0.07 * RATE


def test_of_a_long_sound_the_loudest_seconds_are_taken() -> None:
    rng = np.random.default_rng(0)
    samples = 0.01 * rng.standard_normal(20 * RATE)
    samples[12 * RATE : 14 * RATE] *= 1.6
    begin, end = find_sound(samples.astype(np.float32), RATE)
    assert (end - begin) / RATE == pytest.approx(LONGEST, abs=0.1)
    assert begin <= 12 * RATE
    assert end >= 14 * RATE


def test_of_two_sounds_apart_the_louder_one_is_taken_and_strokes_close_together_are_one() -> None:
    samples = np.zeros(6 * RATE, np.float32)
    samples[RATE : RATE + 1_600] = 0.1
    samples[4 * RATE : 4 * RATE + 1_600] = 0.5
    samples[int(4.4 * RATE) : int(4.4 * RATE) + 1_600] = 0.5
    begin, end = find_sound(samples, RATE)
    assert begin / RATE == pytest.approx(4.0, abs=0.05)
    assert end / RATE == pytest.approx(4.5, abs=0.06)


@pytest.mark.parametrize(
    ("samples", "said"),
    [(np.zeros(RATE), "is silent"), (np.full(RATE, 1e-6), "is silent"), (np.zeros(100), "shorter than")],
)
def test_silence_and_next_to_nothing_are_refused(samples: np.ndarray, said: str) -> None:
    with pytest.raises(AsitEdgeError, match=said):
        take_of("x.wav", samples.astype(np.float32), RATE)


def test_a_recording_is_the_same_take_under_any_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    samples = (0.1 * rng.standard_normal(RATE)).astype(np.float32)
    one, two = read_take(write(tmp_path / "a.wav", samples), RATE), read_take(write(tmp_path / "b.wav", samples), RATE)
    other = read_take(write(tmp_path / "c.wav", 0.9 * samples), RATE)
    assert one.content == two.content != other.content


def test_variants_differ_in_level_length_and_noise_and_begin_with_the_sound_itself() -> None:
    sound = (0.2 * np.sin(np.arange(RATE) * 0.5)).astype(np.float32)
    made = variants(sound, RATE, 8, np.random.default_rng(1))
    assert len(made) == 8
    assert np.abs(made[0].samples[made[0].begin : made[0].end] - sound).max() < 0.01
    assert len({one.end - one.begin for one in made}) > 4
    assert len({one.begin for one in made}) > 4
    levels = [20 * np.log10(loudest(one.samples[one.begin : one.end], RATE)) for one in made]
    assert max(levels) - min(levels) > 10
    assert all(np.abs(one.samples).max() <= 1 for one in made)
    again = variants(sound, RATE, 8, np.random.default_rng(1))
    assert all(np.array_equal(one.samples, other.samples) for one, other in zip(made, again, strict=True))
