"""What the processes of one run must have alike."""

from typing import Any

import pytest
import torch

from asit_edge.errors import WrongUse
from trainer.run.ranks import agreement
from trainer.run.ranks.agreement import Facts, alike
from trainer.run.ranks.distributed import Processes


@pytest.mark.parametrize("more", ["here", "there"])
def test_code_that_looks_at_more_is_another(monkeypatch: pytest.MonkeyPatch, more: str) -> None:
    """This is rank 1. Its code, or that of rank 0, has facts of a kind that the other does not know."""
    ours: Facts = {"code": {"version": "b"}, **({"room": {"size": "3"}} if more == "here" else {})}
    theirs: Facts = {"code": {"version": "a"}, **({"room": {"size": "3"}} if more == "there" else {})}

    def from_all(value: Any) -> list[Any]:
        if isinstance(value, str):
            return ["", value]
        digests = {kind: agreement._digest(entries) for kind, entries in theirs.items()}
        return [value._replace(name="rank 0", digests=digests), value]

    monkeypatch.setattr(agreement, "from_all", from_all)
    monkeypatch.setattr(agreement, "from_first", lambda value: {kind: theirs.get(kind, {}) for kind in value})
    size = ("3", "not there") if more == "here" else ("not there", "3")
    with pytest.raises(WrongUse) as refused:
        alike(Processes(1, 2, torch.device("cpu")), lambda: ("found", ours))
    assert f"code version is b, on rank 0 a, room size is {size[0]}, on rank 0 {size[1]};" in str(refused.value)
