"""One thread for torch: results that must be equal bit for bit depend on how a sum is split among threads."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)
