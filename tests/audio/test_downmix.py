"""Many channels to one, without losing the sound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.audio.downmix import CELL, Downmix
from asit_edge.audio.samples import to_mono

RATE = 1_000
CELL_SIZE = round(CELL * RATE)
NOISE = np.random.default_rng(0).normal(0, 0.1, (5 * RATE, 8)).astype(np.float32)
LEFT, RIGHT = NOISE[:, 0], NOISE[:, 1]


def stereo(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack((left, right), axis=1)


def mixed(block: np.ndarray, *sizes: int) -> tuple[np.ndarray, list[str]]:
    downmix, parts, said, at = Downmix(RATE), [], [], 0
    for size in [*sizes, len(block)]:
        parts.append(downmix.mix(block[at : at + size]))
        said += downmix.news()
        at += size
    return np.concatenate(parts), said


ORDINARY = {
    "the same twice": stereo(LEFT, LEFT),
    "independent": stereo(LEFT, RIGHT),
    "wide": stereo(LEFT + RIGHT, LEFT - RIGHT),
    "half out of phase": stereo(LEFT, RIGHT - 0.7 * LEFT),
    "one silent": stereo(LEFT, 0 * LEFT),
    "one much quieter and inverted": stereo(LEFT, -0.3 * LEFT),
    "four, one alone": np.stack((LEFT, 0 * LEFT, 0 * LEFT, 0 * LEFT), axis=1),
    "silence": np.zeros((RATE, 2), np.float32),
    "mono": LEFT[:, None],
}

LOST = {
    "inverted": (stereo(LEFT, -LEFT), 1),
    "inverted and louder": (stereo(LEFT, -1.05 * LEFT), 2),
    "inverted with a noise of its own": (stereo(LEFT, -LEFT + 0.1 * RIGHT), 2),
    "eight, one alone": (NOISE * (np.arange(8) == 5).astype(np.float32), 6),
}


@pytest.mark.parametrize("kind", ORDINARY)
def test_what_a_mix_keeps_is_the_mean_to_the_last_bit(kind: str) -> None:
    samples, said = mixed(ORDINARY[kind], 7, 333)
    assert samples.tobytes() == to_mono(ORDINARY[kind], None).tobytes()
    assert said == []


@pytest.mark.parametrize("kind", LOST)
def test_what_a_mix_loses_is_heard_on_its_loudest_channel_and_said_once(kind: str) -> None:
    block, channel = LOST[kind]
    samples, said = mixed(block, 7, 333)
    assert (samples[1100:] == block[1100:, channel - 1]).all()
    assert len(said) == 1
    assert f"channel {channel}, the loudest" in said[0]


def test_an_inverted_channel_is_noticed_within_a_cell() -> None:
    samples, _ = mixed(stereo(LEFT, -LEFT))
    assert (samples[:CELL_SIZE] == 0).all()
    assert (samples[CELL_SIZE:] == LEFT[CELL_SIZE:]).all()


def test_silence_before_decides_nothing() -> None:
    block = np.concatenate((np.zeros((777, 2), np.float32), stereo(LEFT, -LEFT)))
    samples, said = mixed(block)
    assert (samples[777 + 2 * CELL_SIZE :] == LEFT[2 * CELL_SIZE :]).all()
    assert len(said) == 1


def test_it_stays_with_a_channel_until_that_is_silent() -> None:
    block = np.concatenate((stereo(LEFT, -LEFT), stereo(LEFT, RIGHT), stereo(0 * LEFT, RIGHT)))
    samples, said = mixed(block)
    assert (samples[CELL_SIZE:10_000] == np.concatenate((LEFT, LEFT))[CELL_SIZE:]).all()
    assert (samples[11_100:] == RIGHT[1_100:]).all()
    assert len(said) == 2
    assert said[1] == "channel 1 has become silent; channel 2, the loudest, is heard instead"


def test_another_number_of_channels_is_another_stream() -> None:
    downmix = Downmix(RATE)
    downmix.mix(stereo(LEFT, -LEFT))
    assert downmix.channel == 1
    assert (downmix.mix(NOISE[:, :3]) == NOISE[:, :3].mean(axis=1)).all()
    assert downmix.channel is None


@given(st.sampled_from([*ORDINARY, *LOST]), st.lists(st.integers(0, 700), max_size=30))
def test_the_size_of_blocks_changes_nothing(kind: str, sizes: list[int]) -> None:
    block = ORDINARY[kind] if kind in ORDINARY else LOST[kind][0]
    whole, parts = mixed(block), mixed(block, *sizes)
    assert whole[0].tobytes() == parts[0].tobytes()
    assert whole[1] == parts[1]
