import pytest
from torch import nn

from trainer.run.average import copied, epoch_mean_share, follow, running_share


def test_an_average_moves_by_its_share_and_takes_counters_as_they_are() -> None:
    network = nn.BatchNorm1d(2)
    average = copied(network)
    network.running_mean += 1.0
    network.num_batches_tracked += 7
    follow(average, network, 0.25)
    assert average["running_mean"].tolist() == [0.25, 0.25]
    assert average["num_batches_tracked"] == 7
    assert average["weight"].tolist() == [1.0, 1.0]


def test_a_running_average_forgets_the_beginning() -> None:
    assert running_share(0.99, done=1, steps=10_000, late=9) == pytest.approx(0.9)
    assert running_share(0.99, done=9, steps=10_000, late=9) == pytest.approx(0.5)
    assert running_share(0.99, done=9_000, steps=10_000, late=9) == pytest.approx(0.01)
    assert running_share(0.99, done=100, steps=100, late=9) == pytest.approx(0.1), "a tenth of a short run"
    assert running_share(0.99, done=3, steps=5, late=9) == 1.0
    assert running_share(0.0, done=500, steps=1_000, late=9) == 1.0, "without a decay the newest weights"


def test_a_mean_over_epochs_takes_each_end_of_an_epoch_alike() -> None:
    shares = [epoch_mean_share(done, epoch_steps=3, first_epoch=2) for done in range(1, 13)]
    assert shares == [1, 1, 1, 1, 1, 1, 0, 0, 1 / 2, 0, 0, 1 / 3]
