"""What counts as a false alarm: neither said by a label nor by two models at the same time."""

import numpy as np
import pytest

from tests.conftest import RATE, tones
from tests.trainer.evaluation.yardstick.sounds import Ear
from trainer.data.left_out import split_left_out
from trainer.data.recording import Recording
from trainer.evaluation.yardstick.alarms import agreements, false_alarms
from trainer.evaluation.yardstick.listening import ambience


class Pieces:
    """Sound in memory."""

    def __init__(self, *pieces: tuple[set[str], np.ndarray]) -> None:
        self._pieces = pieces

    def __len__(self) -> int:
        return len(self._pieces)

    def samples(self, index: int, rate: int) -> np.ndarray:
        return np.repeat(self._pieces[index][1], rate // RATE)

    def labels(self, index: int) -> frozenset[str]:
        return frozenset(self._pieces[index][0])


def test_a_label_of_the_piece_its_kinds_and_agreement_support_an_event() -> None:
    bell = tones((0, 4), (3000, 1), (0, 5))
    barks = tones((0, 4), (800, 1), (0, 5))
    sound = Pieces(({"Rain"}, bell), ({"Doorbell"}, bell), ({"Dog"}, barks))
    model = Ear("Doorbell", "Bark")
    alone = false_alarms(model, sound, agreements([], sound))
    assert alone["hours"] == pytest.approx(30 / 3600)
    assert alone["events_per_hour"] == pytest.approx(3 * 120)
    assert alone["unlabelled_per_hour"] == alone["unsupported_per_hour"] == pytest.approx(120)
    assert alone["by_label"]["Doorbell"] == {
        "events": 2,
        "unlabelled": 1,
        "unsupported": 1,
        "hours_without": pytest.approx(20 / 3600),
    }
    agreed = false_alarms(model, sound, agreements([Ear("Doorbell", "Dog"), Ear("Doorbell", rate=2 * RATE)], sound))
    assert agreed["unlabelled_per_hour"] == pytest.approx(120)
    assert agreed["unsupported_per_hour"] == 0
    one_deaf = false_alarms(model, sound, agreements([Ear("Doorbell"), Ear("Dog")], sound))
    assert one_deaf["unsupported_per_hour"] == pytest.approx(120), "both must hear it"


def test_agreement_is_about_the_same_two_seconds() -> None:
    sound = Pieces((set(), tones((0, 20), (3000, 1), (0, 19))))
    (agreement,) = agreements([Ear("Doorbell", "Dog"), Ear("Dog", "Doorbell")], sound)
    assert agreement.supports("Doorbell", 20.0, 21.0)
    assert agreement.supports("Door", 20.0, 21.0), "a doorbell is of a door"
    assert not agreement.supports("Dog", 20.0, 21.0)
    assert not agreement.supports("Doorbell", 10.0, 11.0)
    assert not agreement.supports("Doorbell", 30.0, 31.0)
    assert agreement.supports("Doorbell", 18.5, 18.9), "they may be up to two seconds later"


def test_real_places_are_listened_to(recordings: list[Recording]) -> None:
    places = ambience(split_left_out(recordings)[1])
    found = false_alarms(Ear("Dog", "Doorbell"), places, agreements([], places))
    assert found["by_label"]["Doorbell"]["unsupported"] == 1, "nobody said so of knocked.wav"
    assert found["by_label"]["Dog"] == {
        "events": 1,
        "unlabelled": 0,
        "unsupported": 0,
        "hours_without": pytest.approx(36 / 3600),
    }
