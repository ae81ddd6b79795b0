"""The spectrogram that people see: where a tone is, how loud, whatever the blocks and the rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.live.columns import BANDS, LOWEST, PER_SECOND, RANGE, Columns


def tone(hertz: float, rate: int, amplitude: float = 1.0, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def band_of(hertz: float, highest: float) -> float:
    def mel(value: float) -> float:
        return float(np.log1p(value / 700))

    return (mel(hertz) - mel(LOWEST)) / (mel(highest) - mel(LOWEST)) * (BANDS + 1) - 1


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("hertz", [200, 1000, 3000])
def test_a_tone_is_in_its_band_at_every_rate(rate: int, hertz: float) -> None:
    columns = Columns(rate)
    found = columns.push(tone(hertz, rate))
    assert abs(len(found) - PER_SECOND) <= 2
    assert np.abs(found.argmax(axis=1) - band_of(hertz, columns.highest)).max() <= 1


def test_bytes_are_decibels() -> None:
    loud, soft = (int(Columns(16_000).push(tone(1000, 16_000, amplitude))[5].max()) for amplitude in (0.5, 0.005))
    assert loud - soft == pytest.approx(40 * 255 / RANGE, abs=2)
    assert not Columns(16_000).push(np.zeros(16_000, np.float32)).any()


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=20))
def test_blocks_of_any_size_give_the_same(sizes: list[int]) -> None:
    samples = np.random.default_rng(1).standard_normal(sum(sizes)).astype(np.float32)
    whole = Columns(16_000).push(samples)
    columns, begin, parts = Columns(16_000), 0, []
    for size in sizes:
        parts.append(columns.push(samples[begin : begin + size]))
        begin += size
    assert np.array_equal(np.concatenate(parts), whole)
