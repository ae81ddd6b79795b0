"""Chance in a run, by place: what is drawn at a step depends on the seed and its number, not on what ran before.

So a run that was stopped anywhere goes on to the same weights from its last checkpoint, which keeps no generators.
"""

import numpy as np
import torch


def seed_of(*place: int) -> int:
    """A seed of 64 bits for a place in a run: (its seed, a step, a rank, ...). A last 0 is as if it was not there."""
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])


def generator_of(*place: int) -> torch.Generator:
    """For what is drawn on the CPU at a place in a run."""
    return torch.Generator().manual_seed(seed_of(*place))


def seed_step(*place: int) -> None:
    """Before a step's forward pass: for what layers draw of themselves (dropped paths), on every device."""
    torch.manual_seed(seed_of(*place))
