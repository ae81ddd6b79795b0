"""What of a source is heard, and what is said about it."""

import logging

import numpy as np
import pytest

from asit_edge.assembly import Model, load_model
from asit_edge.config.root import Config
from asit_edge.listen.supervision.account import Account
from tests.conftest import RATE, tones
from tests.listen.virtual import VirtualClock


@pytest.fixture(scope="module")
def model(tone_bundle: object) -> Model:
    return load_model(Config.model_validate({"model": tone_bundle}))


def test_a_microphone_with_an_inverted_channel_is_heard_and_that_is_said_once(
    model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    clock = VirtualClock()
    account = Account("hall", model.pipeline(RATE), RATE, 0.0, clock)
    sound = tones((0, 1), (500, 2))
    block = np.stack((sound, -sound), axis=1)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):  # the second time, it has been opened anew
            account.begin(clock.steady(), RATE, live=True, muted=False)
            for start in range(0, len(block), RATE // 2):
                assert account.hear(block[start : start + RATE // 2], start, RATE, muted=False)
            account.interrupt("device lost")
    assert len([fact for fact in account.facts if type(fact).__name__ == "Changed"]) >= 1
    [said] = caplog.messages
    assert said.startswith("hall: mixing its 2 channels loses the sound")
