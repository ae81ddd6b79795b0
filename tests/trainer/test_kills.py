"""Loops of the lab, killed (SIGKILL) at random moments with drop path on, end with the weights of undisturbed runs.

`python -m bench.lab.kills --kills 20` does the same for longer.
"""

import random
import time
from pathlib import Path

import pytest

from bench.lab.kills import LOOPS, compare, make_sounds


@pytest.mark.parametrize("loop", LOOPS)
def test_a_killed_run_ends_with_the_same_weights(loop: str, tmp_path: Path) -> None:
    make_sounds(tmp_path)
    seed = time.time_ns()  # other moments every time, told where it fails
    outcome = compare(LOOPS[loop](tmp_path), 3, random.Random(seed), tmp_path / "runs")
    assert (outcome.difference, outcome.twice) == (0.0, 0), (seed, outcome)
    assert len(outcome.steps) >= 3
