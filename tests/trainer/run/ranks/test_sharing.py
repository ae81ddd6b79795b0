"""How processes share out a batch and other work."""

from typing import Any

import pytest
import torch

from asit_edge.errors import WrongUse
from trainer.run.ranks import sharing
from trainer.run.ranks.distributed import Processes
from trainer.run.ranks.sharing import gathered, share_of, shared_out, whole


def ranks(count: int) -> list[Processes]:
    return [Processes(rank, count, torch.device("cpu")) for rank in range(count)]


def test_shares_are_equal_and_make_the_batch() -> None:
    shares = [share_of(12, process) for process in ranks(3)]
    assert [place for share in shares for place in share.places] == list(range(12))
    assert share_of(5, ranks(1)[0]) == whole(5)
    with pytest.raises(WrongUse, match="batch 12: cannot be shared out among 8 processes; take --batch 8"):
        share_of(12, ranks(8)[2])


@pytest.mark.parametrize("items", [7, 2, 0])
def test_what_processes_made_comes_in_the_order_of_the_items(monkeypatch: pytest.MonkeyPatch, items: int) -> None:
    made = [[2 * item for item in shared_out(range(items), process)] for process in ranks(3)]

    def from_all(_value: Any) -> list[Any]:
        return made

    monkeypatch.setattr(sharing, "from_all", from_all)
    for process in ranks(3):
        assert gathered(made[process.rank], process) == [2 * item for item in range(items)]
