"""Made sounds: the same every time, none like another, and with the rhythm and pitch of their standard."""

import numpy as np
import pytest

from trainer.data.audioset import audioset_ids
from trainer.distillation.synthesis import MAKERS, synthesised

RATE = 16_000


@pytest.mark.parametrize("name", MAKERS)
def test_a_sound_is_repeatable_different_from_the_next_and_at_its_level(name: str) -> None:
    one, again, other = synthesised(name, 3, RATE), synthesised(name, 3, RATE), synthesised(name, 4, RATE)
    assert np.array_equal(one, again)
    assert len(one) != len(other) or not np.allclose(one, other, atol=0.05)
    assert np.isfinite(one).all()
    assert np.abs(one).max() == pytest.approx(0.7, abs=1e-4)
    assert 0.05 <= len(one) / RATE <= 30
    assert MAKERS[name][0] in audioset_ids()


def test_a_smoke_alarm_beeps_three_times_and_pauses() -> None:
    """ISO 8201's temporal pattern, in most of them: three gaps of half a second, then one more than twice as long."""
    temporal = 0
    for number in range(20):
        loud = np.abs(synthesised("smoke_alarm", number, RATE)).reshape(-1)[: 5 * RATE] > 0.02
        edges = np.flatnonzero(np.diff(np.convolve(loud, np.ones(800), "same") > 0))
        onsets = edges[::2] / RATE
        gaps = np.diff(onsets)[:3]
        temporal += len(gaps) == 3 and abs(gaps[0] - gaps[1]) < 0.1 and gaps[2] > gaps[0] + 0.5
    assert temporal >= 10


def test_a_siren_stays_between_300_and_1700_hz() -> None:
    for number in range(8):
        sound = synthesised("siren", number, RATE)
        spectrum = np.abs(np.fft.rfft(sound)) ** 2
        hz = np.fft.rfftfreq(len(sound), 1 / RATE)
        assert 300 < hz[spectrum.argmax()] < 1700
