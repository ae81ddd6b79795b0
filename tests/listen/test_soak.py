"""Most of an hour of virtual time with every fault there is: everything heard or told as missed, every event ended."""

import logging

import pytest

from bench.faulty_device import IMPOSSIBLE
from bench.soak import DISK, soak


@pytest.mark.parametrize("seed", [1, 2])
def test_an_hour_of_faults_adds_up(seed: int) -> None:
    logging.disable(logging.WARNING)
    try:
        outcome = soak(hours=0.8, sources=2, seed=seed, calm=0.15)
    finally:
        logging.disable(logging.NOTSET)
    assert outcome.check() == []
    faults = {fault for device in outcome.devices for fault in device.faults}
    assert faults == {"unplugged", "stall that keeps", "stall that loses", "digital silence", IMPOSSIBLE}
    assert outcome.ledger.begun > 15
    assert outcome.troubles["killed"], "and the next run has gone on"
    assert outcome.troubles["broker denies"]
    assert set(DISK) & set(outcome.troubles)
    assert outcome.ledger.open == outcome.broker.open == set(), "every event ended, and that was told"
