"""Levels in dBFS against a full-scale sine, and the flat line that is no microphone."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.audio.level import FLOOR, Flatness, Meter, dbfs, rms_of

SINE = np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000).astype(np.float32)


def test_a_full_scale_sine_has_0_dbfs_and_silence_the_floor() -> None:
    [sine] = Meter(16_000).push(SINE)
    assert (sine.dbfs, sine.peak_dbfs, sine.rms) == (0, 0, pytest.approx(math.sqrt(0.5), abs=1e-5))
    [silence] = Meter(16_000).push(np.zeros(16_000, np.float32))
    assert silence == (FLOOR, FLOOR, 0)
    [square] = Meter(4).push(np.float32([1, -1, 1, -1]))
    assert square.dbfs == 3.0


@given(st.floats(-119, 3))
def test_decibels_and_rms_are_inverse(level: float) -> None:
    assert dbfs(rms_of(level)) == pytest.approx(level, abs=1e-6)


@given(st.lists(st.integers(0, 5_000), max_size=12))
def test_blocks_do_not_matter(sizes: list[int]) -> None:
    meter = Meter(3_000)
    found = [loudness for block in np.split(SINE, np.cumsum(sizes)) for loudness in meter.push(block)]
    whole = Meter(3_000).push(SINE)
    assert [one.dbfs for one in found] == [one.dbfs for one in whole]


@given(st.lists(st.lists(st.sampled_from([0.0, 0.5]), max_size=8), max_size=12))
def test_the_run_of_equal_samples_is_counted_across_blocks(blocks: list[list[float]]) -> None:
    flatness = Flatness()
    heard: list[float] = []
    for block in blocks:
        before = len(heard)
        heard += block
        kept = flatness.push(np.float32(block))
        run = next((back for back, value in enumerate(reversed(heard)) if value != heard[-1]), len(heard))
        assert flatness.run == run
        continues = next(
            (at for at, value in enumerate(block) if before == 0 or value != heard[before - 1]), len(block)
        )
        assert kept == continues
