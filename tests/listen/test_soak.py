"""Most of an hour of virtual time with every fault there is: everything heard or told as missed, every event ended."""

import logging

import pytest

from bench.soak import soak


@pytest.mark.parametrize("seed", [1, 2])
def test_an_hour_of_faults_adds_up(seed: int) -> None:
    logging.disable(logging.WARNING)
    try:
        outcome = soak(hours=0.8, sources=2, seed=seed, calm=0.15)
    finally:
        logging.disable(logging.NOTSET)
    assert outcome.check() == []
    faults = {fault for device in outcome.devices for fault in device.faults}
    assert faults == {"unplugged", "stall that keeps", "stall that loses", "digital silence"}
    assert outcome.ledger.begun > 15
